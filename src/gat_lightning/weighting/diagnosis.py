"""Detect starved objectives."""

from collections.abc import Sequence

from torch import Tensor

from gat_lightning.weighting.objective_names import ObjectiveName

LEAST_ADVERSARIAL = 0.10
MOST_OF_ONE = 0.99


def adversarial_names(names: Sequence[str], target: str) -> list[str]:
    """The objectives that make the target robust."""
    parsed = {name: ObjectiveName.parse(name) for name in names}
    return [name for name, objective in parsed.items() if objective.task == target and objective.is_adversarial]


def adversarial_share(names: Sequence[str], weights: Tensor | Sequence[float], target: str) -> float | None:
    """Share, from 0 to 1, of the weight that the target's adversarial objectives have together.

    Shares are of the sum of the absolute weights, so that rescaled and negative weights are judged too.

    Args:
        names: names of the objectives, ``[K]``.
        weights: their weights, ``[K]``.
        target: name of the target task.

    Returns:
        None where the target has no adversarial objective, or all weights are zero.
    """
    shares = _shares(names, weights)
    adversarial = adversarial_names(list(shares), target)
    return sum(shares[name] for name in adversarial) if adversarial else None


def imbalance(
    names: Sequence[str],
    weights: Tensor | Sequence[float],
    target: str,
    remedies: Sequence[str] = ("weighting=mgda_floor",),
    needs_pairs: bool = False,
) -> str | None:
    """A warning where weights starve the target's adversarial objectives, or feed one objective alone.

    Give it the mean weights of many steps: in a single step any weights may be right.

    Args:
        names: names of the objectives, ``[K]``.
        weights: their weights, ``[K]``.
        target: name of the target task.
        remedies: settings of the weighting that help, and are not in effect: :meth:`Weighting.remedies`.
        needs_pairs: :attr:`Weighting.needs_pairs`, under which no combination of objectives is proposed.

    Returns:
        What is out of balance and what helps, if the :func:`adversarial_share` is under 10 % or one objective has above
        99 %. None where all is well, for a single objective, or for weights that are all zero.
    """
    shares = _shares(names, weights)
    if len(shares) < 2:
        return None
    found = []
    share = adversarial_share(names, weights, target)
    if share is not None and share < LEAST_ADVERSARIAL:
        adversarial = " and ".join(adversarial_names(names, target))
        found.append(f"{adversarial} got only {share:.1%} of the weight: '{target}' hardly becomes robust.")
    largest = max(shares, key=shares.__getitem__)
    if shares[largest] > MOST_OF_ONE:
        found.append(f"{largest} got {shares[largest]:.1%} of the weight: the other objectives are hardly trained.")
    if not found:
        return None
    combine = _apart(names, target) and not needs_pairs
    proposed = [*remedies, *(["method.pairing=combined"] if combine else [])]
    if proposed:
        *others, last = proposed
        found.append(f"Try {', '.join(others)}{' or ' if others else ''}{last}.")
    return " ".join(found)


def _apart(names: Sequence[str], target: str) -> bool:
    """Whether the target has its clean objective beside an adversarial one, so that they could be combined."""
    return str(ObjectiveName(target, "clean")) in names and bool(adversarial_names(names, target))


def _shares(names: Sequence[str], weights: Tensor | Sequence[float]) -> dict[str, float]:
    """Share of each objective; none at all where all weights are zero."""
    sizes = [abs(float(weight)) for weight in weights]
    total = sum(sizes)
    return dict(zip(names, (size / total for size in sizes), strict=True)) if total > 0 else {}

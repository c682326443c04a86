"""Class-balanced splits that depend only on the labels and a key."""

from typing import NamedTuple

import torch
from torch import Tensor

from gat_lightning.batch import MISSING
from gat_lightning.errors import UserError
from gat_lightning.randomness import generator_for


class HeldOut(NamedTuple):
    """Training data in parts, which are disjoint.

    Attributes:
        training: positions of the training samples, ascending.
        validation: positions of the validation samples, shuffled, so that the first ones are a fair sample even if the
            data are sorted by class.
        rest: positions of the samples that the fraction leaves out of the training samples, ascending.
    """

    training: Tensor
    validation: Tensor
    rest: Tensor


def stratified(labels: Tensor, size: int, *key: int | str) -> tuple[Tensor, Tensor]:
    """Draw ``size`` class-balanced samples: every class has its share, to within one sample.

    Largest-remainder rule: of a class with n of N samples, ``n * size / N`` are drawn, rounded down or up.

    Args:
        labels: class index of every sample, long ``[N]``.
        size: number of samples to draw, 0 to N.
        *key: seed of the draw, as for :func:`~gat_lightning.randomness.generator_for`.

    Returns:
        Positions drawn ``[size]`` and the other positions ``[N - size]``, both ascending.
    """
    order = torch.randperm(len(labels), generator=generator_for(*key))
    classes, counts = labels.unique(return_counts=True)
    shuffled = labels[order]
    drawn = torch.zeros(len(labels), dtype=torch.bool)
    for cls, count in zip(classes, quotas(counts, size), strict=True):
        drawn[order[shuffled == cls][: int(count)]] = True
    return drawn.nonzero().flatten(), (~drawn).nonzero().flatten()


def quotas(counts: Tensor, size: int) -> Tensor:
    """Numbers of samples to draw of each class, ``size`` in all, by the largest-remainder rule.

    Args:
        counts: number of samples of each class, long ``[K]``.
        size: number of samples to draw, 0 to their sum.
    """
    total = int(counts.sum())
    quota, remainder = counts * size // total, counts * size % total
    quota[remainder.argsort(descending=True, stable=True)[: size - int(quota.sum())]] += 1
    return quota


def hold_out(labels: Tensor, val_fraction: float, fraction: float, seed: int) -> HeldOut:
    """Split training data into training and validation, then keep a fraction of each.

    The fraction applies to both, so that ``fraction=0.1`` uses a tenth of all images, including validation. It does not
    affect test images.

    Args:
        labels: class index of every sample, long ``[N]``; those without a class are never held out.
        val_fraction: fraction of the labelled samples held out for validation, in (0, 1).
        fraction: fraction of both parts to keep, in (0, 1].
        seed: seed of the run. The split depends only on the seed and the labels.

    Raises:
        UserError: there is no validation image, or a class has no training image.
    """
    labelled = (labels != MISSING).nonzero().flatten()
    drawn, _ = stratified(labels[labelled], round(val_fraction * len(labelled)), seed, "validation")
    validation, training = _parted(len(labels), labelled[drawn])
    rest = training[:0]
    if fraction < 1:
        kept, left_out = stratified(labels[training], round(fraction * len(training)), seed, "fraction")
        training, rest = training[kept], training[left_out]
        validation = validation[stratified(labels[validation], round(fraction * len(validation)), seed, "fraction")[0]]
    if not len(validation):
        raise UserError(
            f"data.val_fraction={val_fraction} and data.fraction={fraction} leave no validation image of"
            f" {len(labels)}; raise one of them"
        )
    absent = sorted(set(labels[labelled].tolist()) - set(labels[training].tolist()))
    if absent:
        raise UserError(
            f"data.val_fraction={val_fraction} and data.fraction={fraction} leave no training image of class"
            f" {absent[0]}; use a larger fraction or a smaller val_fraction"
        )
    order = torch.randperm(len(validation), generator=generator_for(seed, "validation order"))
    return HeldOut(training, validation[order], rest)


def _parted(count: int, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """The drawn positions out of ``count`` and the others, both ascending."""
    mask = torch.zeros(count, dtype=torch.bool).index_fill(0, drawn, True)
    return mask.nonzero().flatten(), (~mask).nonzero().flatten()

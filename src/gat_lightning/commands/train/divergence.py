"""Warn of a training whose model became much worse in the end."""

import math
from collections.abc import Sequence

CHANCE = 0.5
"""AUROC of a model that tells nothing apart."""

LEAST_FALL = 0.1
"""Smallest fall of an accuracy or AUROC that is a divergence and not an accident of few images."""


def divergence(scores: Sequence[float], metric: str) -> str | None:
    """A warning if the last validation is far worse than the best one.

    That is: an accuracy or AUROC has fallen by 10 points or more, to less than half of the best, or, of AUROC, to 0.5
    or less; an error has more than doubled.

    Args:
        scores: ``val/selection`` of all validations; errors are negative. Undefined ones are passed over.
        metric: what the scores are, such as ``auroc``.

    Returns:
        What happened and what to do; None otherwise.
    """
    defined = [score for score in scores if not math.isnan(score)]
    if len(defined) < 2:
        return None
    best, last = max(defined), defined[-1]
    if metric in ("accuracy", "auroc"):
        fallen = best - last >= LEAST_FALL and (last < best / 2 or (metric == "auroc" and last <= CHANCE))
        figures = f"fell from {best:.1%} to {last:.1%} at the end"
    else:
        fallen, figures = last < 2 * best, f"rose from {-best:.4g} to {-last:.4g} at the end"
    if not fallen:
        return None
    return (
        f"The training diverged: its validation {metric} {figures}. Use the best checkpoint, and train with a smaller"
        " optimizer.lr, a warm-up or engine.clip_norm."
    )

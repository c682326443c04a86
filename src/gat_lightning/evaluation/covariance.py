"""Vulnerability over the covariance of task gradients (paper, theorem 3.1)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gat_lightning.errors import UserError
from gat_lightning.evaluation.statistics import Correlation, pearson
from gat_lightning.evaluation.task_gradients import PairMeasures
from gat_lightning.evaluation.vulnerability import Vulnerability


@dataclass(frozen=True)
class CovarianceTrend:
    """Vulnerability of groups of images over the covariance of two tasks' gradients (theorem 3.1).

    Attributes:
        covariance: 2 α_1 α_2 Cov / (α_1² σ_1² + α_2² σ_2²) of each group, in [-1, 1].
        measured: each group's vulnerability, divided by ε √(α_1² σ_1² + α_2² σ_2²).
        predicted: √(1 + covariance), eq. 3 with its constant.
        correlation: between ``measured`` and ``predicted``.
    """

    covariance: Tensor
    measured: Tensor
    predicted: Tensor
    correlation: Correlation


def covariance_trend(
    pair: PairMeasures,
    vulnerability: Vulnerability,
    alphas: tuple[float, float] = (1.0, 1.0),
    groups: int = 10,
    equal_lengths: bool = False,
) -> CovarianceTrend:
    """Measure the vulnerability of groups of images whose task gradients agree increasingly.

    Images are sorted by the agreement of their two gradients and divided into groups of equal size; the theorem's
    expectations are over a group. The theorem assumes a converged model, and gradients of one distribution with zero
    mean, none of which is checked here: as in the paper's proof, Cov is E[g_1 · g_2] and σ_i² is E[‖g_i‖²] of the
    group. The lengths of a trained model's gradients differ by orders of magnitude between images, and √E[‖r‖²] is then
    far above E[‖r‖], by a factor that varies between groups.

    Args:
        pair: measures of the two tasks.
        vulnerability: to an L2 attack (p = q = 2 in the proof) on these two tasks alone, with weights ``alphas``.
        alphas: α_1 and α_2.
        groups: number of groups, at least 3.
        equal_lengths: False: eq. 3 as it stands. True: first divide each image's gradients and change of the loss by
            √(α_1² ‖g_1‖² + α_2² ‖g_2‖²). That says nothing about the theorem: the length of α_1 g_1 + α_2 g_2 becomes
            √(1 + agreement) for every image, so ``measured`` equals ``predicted`` wherever lemma A.2 holds.

    Raises:
        UserError: the attack is not in L2, or there are fewer than ``groups`` images with both labels.
    """
    if vulnerability.norm != "L2" or set(vulnerability.tasks) != {pair.first, pair.second}:
        raise UserError(
            "theorem 3.1 is for an L2 attack on the two tasks of the pair, got "
            f"{vulnerability.norm} on {', '.join(vulnerability.tasks)}"
        )
    common = torch.isin(vulnerability.index, pair.index)
    change = vulnerability.change[common][vulnerability.index[common].argsort()]
    order = pair.index.argsort()
    product, first, second = (values[order] for values in (pair.product, pair.first_square, pair.second_square))
    if groups < 3 or len(order) < groups or len(change) != len(order):
        raise UserError(
            f"{groups} groups of {len(order)} images, {len(change)} of them attacked: at least 3 groups, with an "
            "image each, all of them attacked, are needed"
        )
    cross, squares = 2 * alphas[0] * alphas[1] * product, alphas[0] ** 2 * first + alphas[1] ** 2 * second
    scale = torch.where(squares > 0, squares, 1.0)
    agreement = cross / scale
    if equal_lengths:
        cross, squares, change = agreement, squares / scale, change / scale.sqrt()
    means = torch.tensor(
        [
            [float(values[members].mean()) for values in (cross, squares, change)]
            for members in agreement.argsort().tensor_split(groups)
        ],
        dtype=torch.float64,
    )
    means = means[means[:, 1] > 0]
    covariance = means[:, 0] / means[:, 1]
    measured = means[:, 2] / (vulnerability.eps * means[:, 1].sqrt())
    predicted = (1 + covariance).clamp(min=0).sqrt()
    return CovarianceTrend(covariance, measured, predicted, pearson(measured, predicted))

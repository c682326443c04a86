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
    same_scale: bool = True,
) -> CovarianceTrend:
    """Measure the vulnerability of groups of images whose task gradients agree increasingly.

    Images are sorted by the agreement of their two gradients and divided into groups of equal size; the theorem's
    expectations are over a group. As in the paper's proof, gradients are assumed to have zero mean: Cov is E[g_1 · g_2]
    and σ_i² is E[‖g_i‖²] of the group.

    Args:
        pair: measures of the two tasks.
        vulnerability: to an L2 attack (p = q = 2 in the proof) on these two tasks alone, with weights ``alphas``.
        alphas: α_1 and α_2.
        groups: number of groups, at least 3.
        same_scale: divide each image's gradients and increase by √(α_1² ‖g_1‖² + α_2² ‖g_2‖²). The theorem assumes
            gradients of one distribution; those of a trained model differ in length by orders of magnitude, and
            √E[‖r‖²] is then far above E[‖r‖], by a factor that varies between groups. False applies eq. 3 without
            normalising lengths.

    Raises:
        UserError: the attack is not in L2, or there are fewer than ``groups`` images with both labels.
    """
    if vulnerability.norm != "L2" or set(vulnerability.tasks) != {pair.first, pair.second}:
        raise UserError(
            "theorem 3.1 is for an L2 attack on the two tasks of the pair, got "
            f"{vulnerability.norm} on {', '.join(vulnerability.tasks)}"
        )
    common = torch.isin(vulnerability.index, pair.index)
    increase = vulnerability.increase[common][vulnerability.index[common].argsort()]
    order = pair.index.argsort()
    product, first, second = (values[order] for values in (pair.product, pair.first_square, pair.second_square))
    if groups < 3 or len(order) < groups or len(increase) != len(order):
        raise UserError(
            f"{groups} groups of {len(order)} images, {len(increase)} of them attacked: at least 3 groups, with an "
            "image each, all of them attacked, are needed"
        )
    cross, squares = 2 * alphas[0] * alphas[1] * product, alphas[0] ** 2 * first + alphas[1] ** 2 * second
    scale = torch.where(squares > 0, squares, 1.0)
    agreement = cross / scale
    if same_scale:
        cross, squares, increase = agreement, squares / scale, increase / scale.sqrt()
    means = torch.tensor(
        [
            [float(values[members].mean()) for values in (cross, squares, increase)]
            for members in agreement.argsort().tensor_split(groups)
        ],
        dtype=torch.float64,
    )
    means = means[means[:, 1] > 0]
    covariance = means[:, 0] / means[:, 1]
    measured = means[:, 2] / (vulnerability.eps * means[:, 1].sqrt())
    predicted = (1 + covariance).clamp(min=0).sqrt()
    return CovarianceTrend(covariance, measured, predicted, pearson(measured, predicted))

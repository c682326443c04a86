"""Losses of logits that attacks increase.

Cross-entropy, binary cross-entropy and the divergence have their usual values, but are computed from differences of
logits. The usual forms compute the probability of the likeliest class, which rounds to 1 in float32 from a margin of 18
on: its part of the gradient is then 0, and the direction of the gradient is wrong.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from gat_lightning.batch import has_label

DecisionLoss = Callable[[Tensor, Tensor], Tensor]
"""(logits ``[B, K]``, classes ``[B]``, -1 where missing) -> loss ``[B]``, 0 where a class is missing."""


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    r"""Cross-entropy :math:`-\log\sigma(m)` with :math:`m = -\log\sum_{j \ne y} e^{z_j - z_y}`, ``[B]``.

    Args:
        logits: z, ``[B, K]``.
        target: classes y, ``[B]`` long, where a missing one (-1) has loss 0; or probabilities that sum to 1, ``[B, K]``
            float (mixed or smoothed labels), where missing ones (NaN) have loss 0.
    """
    logits = _at_least_float32(logits)
    if target.is_floating_point():
        known = has_label(target)
        probabilities = torch.where(known[:, None], target, 0)
        reference, others = _against(logits, probabilities.argmax(1))
        return torch.where(known, reference - (probabilities * others).sum(1), 0.0)
    loss, _ = _against(logits, target.clamp(min=0))
    return torch.where(has_label(target), loss, 0.0)


def binary_cross_entropy(logit: Tensor, target: Tensor, pos_weight: float = 1.0) -> Tensor:
    r"""Binary cross-entropy :math:`-w y \log\sigma(z) - (1 - y) \log\sigma(-z)`, ``[B]``.

    Args:
        logit: z, ``[B]``.
        target: y in [0, 1], ``[B]``; long, or float if smoothed. A missing one (-1, NaN) has loss 0.
        pos_weight: weight w of the positives.
    """
    logit = _at_least_float32(logit)
    known = has_label(target)
    positive = torch.where(known, target, 0).to(logit.dtype)
    loss = -pos_weight * positive * logsigmoid(logit) - (1 - positive) * logsigmoid(-logit)
    return torch.where(known, loss, 0.0)


def divergence(reference: Tensor, logits: Tensor) -> Tensor:
    r"""KL(p || q) of the probabilities p of ``reference`` and q of ``logits``, both ``[B, K]``; ``[B]``.

    With :math:`\delta` the change of the logits relative to that of the likeliest class c, it is

    .. math:: \log(1 + \sum_{j \ne c} p_j (e^{\delta_j} - 1)) - \sum_{j \ne c} p_j \delta_j.

    The first term is computed as the difference of the cross-entropies of c where :math:`\delta` is large. Only the
    gradient with respect to ``logits`` keeps its direction.
    """
    reference, logits = _at_least_float32(reference), _at_least_float32(logits)
    likeliest = reference.argmax(1)
    before, against = _against(reference, likeliest)
    after, _ = _against(logits, likeliest)
    own = likeliest[:, None]
    probabilities = (against - before[:, None]).exp().scatter(1, own, 0)
    change = logits - reference
    change = (change - change.gather(1, own)).scatter(1, own, 0)
    small = torch.log1p((probabilities * torch.expm1(change.clamp(max=1))).sum(1))
    return torch.where(change.amax(1) < 1, small, after - before) - (probabilities * change).sum(1)


def margin(logits: Tensor, classes: Tensor) -> Tensor:
    """Highest logit of another class minus that of the class, ``[B]``; of logits (0, z) z, negated for class 1."""
    own = classes.clamp(min=0)[:, None]
    others = logits.scatter(1, own, -torch.inf).amax(1)
    return torch.where(has_label(classes), others - logits.gather(1, own).squeeze(1), 0.0)


def dlr(logits: Tensor, classes: Tensor) -> Tensor:
    """Difference of logits ratio, ``[B]``: :func:`margin` divided by the highest logit minus the third highest.

    Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks"
    (ICML 2020), equation 6.

    Raises:
        ValueError: there are fewer than 3 classes.
    """
    if logits.shape[1] < DLR_CLASSES:
        raise ValueError(
            f"The DLR loss needs logits of at least {DLR_CLASSES} classes, got {logits.shape[1]}: use margin."
        )
    highest = logits.topk(3, 1).values
    return margin(logits, classes) / (highest[:, 0] - highest[:, 2] + 1e-12)


DLR_CLASSES = 3
"""Least number of classes of the DLR loss."""

LOSSES: dict[str, DecisionLoss] = {"margin": margin, "dlr": dlr}
"""Losses that an attack can increase in place of the problem's own."""


def _against(logits: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of classes ``[B]``, and the logits minus that of the class, which itself becomes 0 ``[B, K]``."""
    own = classes[:, None]
    differences = logits - logits.gather(1, own)
    loss = -logsigmoid(-differences.scatter(1, own, -torch.inf).logsumexp(1))
    return loss, differences.scatter(1, own, 0)


def _at_least_float32(logits: Tensor) -> Tensor:
    """Logits of a lower precision in float32, whose differences would be rounded otherwise."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits

"""Runner of all audit checks."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gat_lightning.attacks import Norm, as_norm, parse_budget, undisturbed
from gat_lightning.batch import is_finite
from gat_lightning.errors import UserError
from gat_lightning.evaluation.audit.feasibility import in_the_ball
from gat_lightning.evaluation.audit.gradients import deterministic, loss_choice, nonzero_gradients, smooth_loss
from gat_lightning.evaluation.audit.report import AuditReport
from gat_lightning.evaluation.audit.strength import more_steps, random_noise, square, transfer, unbounded
from gat_lightning.evaluation.audit.subject import Subject
from gat_lightning.validate import check_real


def audit(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float | str,
    norm: str | Norm = "Linf",
    seed: int = 0,
    batch_size: int = 256,
    surrogate: nn.Module | None = None,
    adversarial: Mapping[str, Tensor] | None = None,
    groups: Tensor | None = None,
) -> AuditReport:
    """Audit a classifier for obfuscated gradients: is it robust, or only hard to attack with gradients?

    A model that passes may still be less robust than it seems; a suspicious check names the evidence to examine. A
    model without any robustness passes. The cost is about a thousand gradients and a thousand queries per robust image,
    and less for the others. The model is audited in eval mode and is unchanged afterwards.

    Args:
        model: images ``[B, C, H, W]`` in [0, 1] -> logits ``[B, K]``; one logit ``[B, 1]`` is a binary decision with
            labels 0 and 1.
        images: ``[N, C, H, W]`` in [0, 1], on the model's device; use at least 100 for reliable verdicts.
        labels: true classes ``[N]``, long, on the same device.
        eps: radius at which robustness is claimed, above 0, in pixel units; a number or text such as ``8/255``.
        norm: ``Linf``, ``L2`` or ``L1``.
        seed: seed of all attacks.
        batch_size: number of images per pass.
        surrogate: another classifier of the same task, for the transfer check.
        adversarial: adversarial images ``[N, C, H, W]`` by attack, from an earlier evaluation at this eps, for the
            check of the ball.
        groups: patient of each image, long ``[N]``, for McNemar's test between two attacks; None if each image stands
            for itself.

    Raises:
        UserError: no image is classified correctly, eps is 0, shapes do not fit, or a norm is unknown.
    """
    ball, radius, given = as_norm(norm), parse_budget(eps, "eps"), adversarial or {}
    _check_shapes(images, labels, radius, given)
    modules = [model] if surrogate is None else [model, surrogate]
    with undisturbed(nn.ModuleList(modules), "eval", images.device):
        torch.manual_seed(seed)  # for a model that draws
        subject = Subject(model, images, labels, radius, ball, seed, batch_size, groups)
        if not subject.clean_correct.any():
            raise UserError("an audit needs at least one image that the model classifies rightly, and there is none")
        checks = (
            deterministic(subject),
            nonzero_gradients(subject),
            random_noise(subject),
            smooth_loss(subject),
            loss_choice(subject),
            more_steps(subject),
            unbounded(subject),
            square(subject),
            transfer(subject, surrogate),
            in_the_ball(subject, given),
        )
        settings = {
            "norm": ball.name,
            "eps": radius,
            "images": len(images),
            "seed": seed,
            "non_finite_outputs": int((~is_finite(subject.logits(images))).sum()),
            "clean_accuracy": float(subject.clean_correct.float().mean()),
            "robust_accuracy": subject.strong.accuracy,
        }
    return AuditReport(checks, settings)


def _check_shapes(images: Tensor, labels: Tensor, eps: float, adversarial: Mapping[str, Tensor]) -> None:
    check_real("eps", eps, 0, closed="neither", example="8/255")
    if images.dim() != 4 or len(images) == 0 or labels.shape != images.shape[:1] or labels.dtype != torch.long:
        raise ValueError(
            f"an audit needs images [N, C, H, W] and classes [N] (long), got {list(images.shape)} and "
            f"{list(labels.shape)} ({labels.dtype})"
        )
    for name, changed in adversarial.items():
        if changed.shape != images.shape:
            raise ValueError(
                f"adversarial images of {name!r} have shape {list(changed.shape)}, the images {list(images.shape)}"
            )

"""Does the loss grow along the attack's direction, smoothly and as its gradient says?"""

from __future__ import annotations

import torch
from torch import Tensor

from gat_lightning.evaluation.audit.report import CARLINI, LOCAL_LINEARITY, Check, verdict
from gat_lightning.evaluation.audit.subject import Subject, margin_loss

SEGMENTS = 20
"""Of the line from the image to the adversarial image."""

MIN_INCREASED = 0.9
"""Share of rightly classified images whose margin loss, which never saturates, the attack must increase."""

MAX_UNEXPLAINED = 0.5
"""Part of the loss's variation along the line that its gradient may fail to explain."""


def smooth_loss(subject: Subject) -> Check:
    """PGD increases the loss, and the loss along its direction is the integral of its gradient.

    The line from image to adversarial image is cut into segments. On each, the change of the loss is compared with
    the gradient at its middle; steps, quantisation, noise and saturation leave most of the variation unexplained.
    """
    images, chosen = subject.images, subject.clean_correct
    direction = (subject.white_box.images - images) / SEGMENTS
    losses = torch.stack([subject.losses(images + step * direction) for step in range(SEGMENTS + 1)])[:, chosen]
    slopes = [
        (subject.gradients(images + (step + 0.5) * direction) * direction).flatten(1).sum(1) for step in range(SEGMENTS)
    ]
    margins = [margin_loss(subject.logits(x), subject.labels)[chosen] for x in (images, subject.white_box.images)]
    increased = float((margins[1] > margins[0]).float().mean())
    unexplained = _unexplained(losses, torch.stack(slopes)[:, chosen])
    suspicious = increased < MIN_INCREASED or not unexplained <= MAX_UNEXPLAINED
    evidence = {
        "images_whose_margin_loss_increased": increased,
        "unexplained_variation": unexplained,
        "mean_loss_along_the_line": losses.double().mean(1).tolist(),
        "threshold_increased": MIN_INCREASED,
        "threshold_unexplained": MAX_UNEXPLAINED,
    }
    explanation = (
        f"The attack increased the margin loss of {increased:.1%} of the images; gradients leave {unexplained:.0%} of "
        f"the loss's variation along its direction unexplained{': no guide to it' if suspicious else ''}."
    )
    return Check("loss landscape", verdict(suspicious), evidence, explanation, f"{CARLINI}; {LOCAL_LINEARITY}")


def _unexplained(losses: Tensor, slopes: Tensor) -> float:
    """Part of the variation that the slopes miss: 0 for a straight line, 1 for zero slopes; 0 without variation."""
    changes = losses.double().diff(dim=0)
    variation = float(changes.abs().sum())
    return float((changes - slopes.double()).abs().sum()) / variation if variation > 0 else 0.0

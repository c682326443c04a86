"""Are there gradients to attack with?"""

from __future__ import annotations

from torch import Tensor

from gat_lightning.attacks import PGD
from gat_lightning.evaluation.audit.report import ATHALYE, AUTO_ATTACK, MARGIN_LOSS, Check, verdict
from gat_lightning.evaluation.audit.subject import Subject, margin_loss, significantly_lower

MAX_ZERO_IMAGES = 0.05
"""Share of rightly classified images whose whole gradient may be zero."""

MAX_ZERO_PIXELS = 0.5
"""Share of the pixels of the median image whose gradient may be zero."""

MAX_LOSS_GAP = 0.1
"""How much lower the robust accuracy may be under the margin loss than under cross-entropy."""


def nonzero_gradients(subject: Subject) -> Check:
    """The input gradients of rightly classified images are finite and not zero.

    They are zero behind quantisation, hard steps, saturated sigmoids or a detached layer (under every loss), or where
    huge logits saturate the softmax (under cross-entropy only).
    """
    gradients = subject.gradients(subject.images)[subject.clean_correct].flatten(1)
    margin = subject.gradients(subject.images, margin_loss)[subject.clean_correct].flatten(1)
    zero, zero_margin = _zero_images(gradients), _zero_images(margin)
    pixels = float((gradients == 0).float().mean(1).median())
    finite = bool(gradients.isfinite().all() and margin.isfinite().all())
    saturated = zero > MAX_ZERO_IMAGES >= zero_margin
    suspicious = not finite or max(zero, zero_margin) > MAX_ZERO_IMAGES or pixels > MAX_ZERO_PIXELS
    evidence = {
        "zero_gradients_cross_entropy": zero,
        "zero_gradients_margin_loss": zero_margin,
        "zero_pixels_of_the_median_image": pixels,
        "finite": finite,
        "threshold_images": MAX_ZERO_IMAGES,
        "threshold_pixels": MAX_ZERO_PIXELS,
    }
    if not suspicious:
        explanation = f"{zero:.1%} of the images have a zero gradient."
    elif not finite:
        explanation = "Some gradients are NaN or infinite, which gradient attacks cannot follow."
    elif saturated:
        explanation = (
            f"{zero:.1%} of the images have a zero gradient, but not under a margin loss: the softmax saturates."
        )
    else:
        explanation = (
            f"{max(zero, zero_margin):.1%} of the images have a zero gradient, and {pixels:.0%} of the pixels of the "
            "median image: a part of the model is not differentiable, saturated or detached."
        )
    reference = f"{ATHALYE} (shattered and vanishing gradients); {AUTO_ATTACK}"
    return Check("zero gradients", verdict(suspicious), evidence, explanation, reference)


def loss_choice(subject: Subject) -> Check:
    """PGD on the margin loss is not much stronger than PGD on cross-entropy."""
    margin = subject.attacked(PGD(norm=subject.norm, eps=subject.eps, steps=20), "margin", loss=margin_loss)
    suspicious = significantly_lower(subject.white_box.correct, margin.correct, MAX_LOSS_GAP)
    evidence = {
        "robust_accuracy_cross_entropy": subject.white_box.accuracy,
        "robust_accuracy_margin_loss": margin.accuracy,
        "tolerance": MAX_LOSS_GAP,
    }
    explanation = (
        f"Robust accuracy is {subject.white_box.accuracy:.1%} under PGD on cross-entropy and {margin.accuracy:.1%} on "
        f"the margin loss{': cross-entropy is saturated, so do not evaluate with it' if suspicious else ''}."
    )
    return Check("loss function", verdict(suspicious), evidence, explanation, f"{MARGIN_LOSS}; {AUTO_ATTACK}")


def _zero_images(gradients: Tensor) -> float:
    return float((gradients == 0).all(1).float().mean())

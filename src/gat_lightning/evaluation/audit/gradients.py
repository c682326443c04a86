"""Audit checks of the gradients: deterministic, not vanishing, and a good guide to an increase of the loss."""

import torch
from torch import Tensor

from gat_lightning.attacks import PGD
from gat_lightning.evaluation.audit.report import (
    ATHALYE,
    AUTO_ATTACK,
    CARLINI,
    LOCAL_LINEARITY,
    MARGIN_LOSS,
    Check,
    verdict,
)
from gat_lightning.evaluation.audit.subject import Subject, margin_loss

MAX_LOGIT_CHANGE = 0.01
"""Largest change of a logit that rounding explains, as a part of the logits' standard deviation."""

REPEATS = 5
"""How often the images are classified again; a model that seldom draws something else is found too."""

COMPANY = 16
"""Images that are also classified one by one."""

SEGMENTS = 20
"""Of the line from the image to the adversarial image."""

MIN_INCREASED = 0.9
"""Share of rightly classified images whose margin loss, which never saturates, the attack must increase."""

MAX_UNEXPLAINED = 0.5
"""Part of the loss's variation along the line that its gradient may fail to explain."""

MAX_ZERO_IMAGES = 0.05
"""Share of rightly classified images whose whole gradient may be zero."""

MAX_ZERO_PIXELS = 0.5
"""Share of the pixels of the median image whose gradient may be zero."""

MAX_LOSS_GAP = 0.1
"""How much lower the robust accuracy may be under the margin loss than under cross-entropy."""


def nonzero_gradients(subject: Subject) -> Check:
    """Check that the input gradients of correctly classified images are finite and not zero.

    They vanish under every loss behind quantisation, hard steps, saturated sigmoids or a detached layer, and under
    cross-entropy if huge logits saturate the softmax.
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
    """Check that PGD on the margin loss is not much stronger than PGD on cross-entropy."""
    margin = subject.attacked(PGD(norm=subject.norm, eps=subject.eps, steps=20), "margin", loss=margin_loss)
    suspicious = subject.significantly_lower(subject.white_box.correct, margin.correct, MAX_LOSS_GAP)
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


@torch.no_grad()
def deterministic(subject: Subject) -> Check:
    """Check that an image has the same logits every time, alone and in any batch.

    Random resizing, noise or dropout at test time, and BatchNorm with the statistics of the batch, make gradients
    noisy; attacks must then average over the randomness (expectation over transformation).
    """
    first = subject.logits(subject.images)
    again = torch.stack([subject.logits(subject.images) for _ in range(REPEATS)])
    count = min(COMPANY, len(subject.images))
    alone = torch.cat([subject.logits(subject.images[index : index + 1]) for index in range(count)])
    scale = float(first.std()) or 1.0
    repeated, company = (float((a - b).abs().max()) / scale for a, b in ((first, again), (first[:count], alone)))
    training = [name or "model" for name, module in subject.model.named_modules() if module.training]
    suspicious = not max(repeated, company) <= MAX_LOGIT_CHANGE
    evidence = {
        "largest_change_when_repeated": repeated,
        "largest_change_when_alone": company,
        "predictions_changed_when_repeated": int((first.argmax(1) != again.argmax(2)).any(0).sum()),
        "modules_in_train_mode": training,
        "tolerance": MAX_LOGIT_CHANGE,
    }
    explanation = (
        f"Logits of one image differ by {max(repeated, company):.2g} standard deviations between two evaluations: the "
        "model draws random numbers or depends on the other images of the batch."
        if suspicious
        else "An image has the same logits every time, alone and in a batch."
    )
    reference = f"{ATHALYE} (stochastic gradients); {AUTO_ATTACK}"
    return Check("determinism", verdict(suspicious), evidence, explanation, reference)


def smooth_loss(subject: Subject) -> Check:
    """Check that PGD increases the loss, and that the loss along its direction is the integral of its gradient.

    The line from image to adversarial image is cut into segments. On each segment the change of the loss is compared
    with the gradient at its midpoint. Steps, quantisation, noise and saturation leave most of the variation
    unexplained.
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
    """Fraction of variation that the slopes do not explain: 0 for a straight line, 1 for zero slopes."""
    changes = losses.double().diff(dim=0)
    variation = float(changes.abs().sum())
    return float((changes - slopes.double()).abs().sum()) / variation if variation > 0 else 0.0

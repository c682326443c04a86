"""Audit check: adversarial images must lie within the ball and in [0, 1]."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gat_lightning.attacks.norms import Norm
from gat_lightning.evaluation.audit.report import CARLINI, Check, verdict
from gat_lightning.evaluation.audit.subject import Subject

ROUNDING = 2**-23
"""By how much storing a pixel in float32 may move it."""

_ORDER = {"Linf": float("inf"), "L2": 2.0, "L1": 1.0}


def in_the_ball(subject: Subject, given: Mapping[str, Tensor]) -> Check:
    """Check that the audit's adversarial images, and those passed in, lie within eps and within [0, 1]."""
    made = {"pgd20": subject.white_box.images, "pgd100x5": subject.strong.images}
    distances: dict[str, float] = {}
    outside: dict[str, int] = {}
    for name, adversarial in {**made, **given}.items():
        distance = _distance(adversarial, subject.images, subject.norm)
        box = ((adversarial >= -ROUNDING) & (adversarial <= 1 + ROUNDING)).flatten(1).all(1)
        pixels = 1 if subject.norm.name == "Linf" else subject.images[0].numel()
        inside = (distance <= subject.eps * (1 + 1e-5) + ROUNDING * pixels) & box
        distances[name] = float(distance.max())
        outside[name] = int((~inside).sum())
    suspicious = any(outside.values())
    found = [f"{count} of {name}" for name, count in outside.items() if count]
    explanation = (
        f"Images outside the ball or the box: {', '.join(found)}."
        if suspicious
        else f"All images of {', '.join(outside)} are within eps = {subject.eps} and [0, 1]."
    )
    evidence = {"largest_distance": distances, "images_outside": outside, "eps": subject.eps}
    return Check("ball and box", verdict(suspicious), evidence, explanation, CARLINI)


def _distance(adversarial: Tensor, images: Tensor, norm: Norm) -> Tensor:
    difference = adversarial.to(images.device).double() - images.double()
    return torch.linalg.vector_norm(difference.flatten(1), _ORDER[norm.name], dim=1)

"""Audit checks of attack strength: budget, number of steps, and comparison with noise and black-box attacks."""

import math

import torch
from torch import nn

from gat_lightning.attacks import L1, PGD, Linf, Norm, Square
from gat_lightning.attacks.budget import in_one_unit
from gat_lightning.evaluation.audit.report import ATHALYE, CARLINI, SQUARE, Check, verdict
from gat_lightning.evaluation.audit.subject import Outcome, Subject
from gat_lightning.randomness import ImageGenerator

MAX_UNBOUNDED_ACCURACY = 0.05
"""Robust accuracy that may be left when the ball holds every image."""

MAX_DROP = 0.1
"""How far 100 steps and 5 restarts may lower the robust accuracy that 20 steps found."""

MAX_DROP_L1 = 0.2
"""The same in L1. There a step changes few pixels, so that much depends on the start: on six honest digits models the
longer attack was 6 to 13 points ahead."""

NOISE_DRAWS = 10
"""Random perturbations of each image."""

MAX_NOISE_WINS = 0.1
"""Share of images on which the best of the draws may have a higher loss than PGD."""

NOISE_TOLERANCE = 0.02
"""How much lower the robust accuracy may be under noise than under PGD."""

QUERIES = 1000
"""Of Square, per image."""

BLACK_BOX_TOLERANCE = 0.02
"""How much lower the robust accuracy may be under a black-box attack than under the strongest white-box one."""


def unbounded(subject: Subject) -> Check:
    """Check that robust accuracy falls to 0 as eps grows until the ball contains every image.

    The attack is PGD with 100 steps from the image itself, so that only gradients guide it. Eps is doubled repeatedly,
    and an image once fooled stays fooled.
    """
    largest = _whole_box(subject.norm, subject.images[0].numel())
    curve = {0.0: float(subject.clean_correct.float().mean())}
    standing, eps = subject.clean_correct, subject.eps
    while standing.any():
        attack = PGD(norm=subject.norm, eps=eps, steps=100, random_start="none")
        standing = subject.attacked(attack, f"unbounded-{eps:.6g}", standing).correct
        curve[eps] = float(standing.float().mean())
        if eps >= largest:
            break
        eps = min(2 * eps, largest)
    left = float(standing.float().mean())
    suspicious = left > MAX_UNBOUNDED_ACCURACY
    evidence = {"accuracy_by_eps": {f"{eps:.4g}": accuracy for eps, accuracy in curve.items()}}
    explanation = f"Robust accuracy is {left:.1%} at eps = {in_one_unit([subject.eps, eps])[1]}" + (
        ", where any image is allowed: the attack fails, not the images." if suspicious else "."
    )
    return Check(
        "unbounded attack",
        verdict(suspicious),
        {**evidence, "threshold": MAX_UNBOUNDED_ACCURACY},
        explanation,
        f"{ATHALYE}; {CARLINI}",
    )


def more_steps(subject: Subject) -> Check:
    """Check that five times the steps and five restarts do not find many more adversarial images."""
    short, long = subject.white_box, subject.strong
    tolerance = MAX_DROP_L1 if isinstance(subject.norm, L1) else MAX_DROP
    suspicious = subject.significantly_lower(short.correct, long.correct, tolerance)
    evidence = {
        "robust_accuracy_20_steps": short.accuracy,
        "robust_accuracy_100_steps_5_restarts": long.accuracy,
        "tolerance": tolerance,
    }
    explanation = (
        f"Robust accuracy is {short.accuracy:.1%} after 20 steps and {long.accuracy:.1%} after 100 with 5 restarts"
        + (": the attack has not converged." if suspicious else ".")
    )
    return Check("steps and restarts", verdict(suspicious), evidence, explanation, CARLINI)


@torch.no_grad()
def random_noise(subject: Subject) -> Check:
    """Check that uniform noise in the ball is weaker than PGD, in loss and in accuracy."""
    images, norm = subject.images, subject.norm
    generator = ImageGenerator(torch.arange(len(images)), subject.seed, "audit", "noise")
    highest = torch.full((len(images),), -torch.inf, device=images.device)
    standing = torch.ones_like(subject.clean_correct)
    for _ in range(NOISE_DRAWS):
        noisy = (images + norm.uniform(images, subject.eps, generator)).clamp(0, 1)
        highest = torch.maximum(highest, subject.losses(noisy))
        standing &= subject.correct(noisy)
    reached = subject.losses(subject.white_box.images)
    wins = float((highest > reached)[subject.clean_correct].float().mean())
    accuracy = float(standing.float().mean())
    suspicious = wins > MAX_NOISE_WINS or subject.significantly_lower(
        subject.white_box.correct, standing, NOISE_TOLERANCE
    )
    evidence = {
        "robust_accuracy_noise": accuracy,
        "robust_accuracy_pgd20": subject.white_box.accuracy,
        "images_with_higher_loss_under_noise": wins,
        "draws": NOISE_DRAWS,
        "threshold_images": MAX_NOISE_WINS,
        "tolerance_accuracy": NOISE_TOLERANCE,
    }
    explanation = (
        f"The best of {NOISE_DRAWS} random perturbations has a higher loss than PGD on {wins:.1%} of the images"
        f"{': gradients are no guide' if suspicious else ''}."
    )
    return Check("random noise", verdict(suspicious), evidence, explanation, f"{ATHALYE}; {CARLINI}")


def _whole_box(norm: Norm, pixels: int) -> float:
    """Radius of a ball around any image that contains the whole box [0, 1]^pixels."""
    if isinstance(norm, Linf):
        return 1.0
    return math.sqrt(pixels) if norm.name == "L2" else float(pixels)


def square(subject: Subject) -> Check:
    """Check that the Square attack, a random search by queries, fools no more images than PGD."""
    name, reference = "black-box queries", f"{ATHALYE}; {SQUARE}"
    if subject.norm.name == "L1":
        explanation = "Square is defined for Linf and L2 only."
        return Check(name, "not applicable", {}, explanation, reference)
    outcome = subject.attacked(Square(norm=subject.norm, eps=subject.eps, queries=QUERIES), "square")
    return _compare(subject, outcome, name, f"Square ({QUERIES} queries)", reference)


def transfer(subject: Subject, surrogate: nn.Module | None) -> Check:
    """Check that adversarial images made on another model fool no more images than PGD on this one."""
    reference = f"{ATHALYE}; {CARLINI}"
    if surrogate is None:
        return Check("transfer", "not applicable", {}, "No surrogate model was given.", reference)
    attack = PGD(norm=subject.norm, eps=subject.eps, steps=20)
    outcome = subject.attacked(attack, "transfer", surrogate=surrogate)
    return _compare(subject, outcome, "transfer", "PGD on the surrogate", reference)


def _compare(subject: Subject, outcome: Outcome, name: str, attack: str, reference: str) -> Check:
    suspicious = subject.significantly_lower(subject.strong.correct, outcome.correct, BLACK_BOX_TOLERANCE)
    evidence = {
        "robust_accuracy_black_box": outcome.accuracy,
        "robust_accuracy_white_box": subject.strong.accuracy,
        "tolerance": BLACK_BOX_TOLERANCE,
    }
    explanation = (
        f"Robust accuracy is {outcome.accuracy:.1%} under {attack} and {subject.strong.accuracy:.1%} under white-box "
        f"PGD{': gradients are masked' if suspicious else ''}."
    )
    return Check(name, verdict(suspicious), evidence, explanation, reference)

"""Attacks without gradients of the model must not beat attacks with them."""

from __future__ import annotations

from torch import nn

from gat_lightning.attacks import PGD
from gat_lightning.attacks.square import Square
from gat_lightning.evaluation.audit.report import ATHALYE, CARLINI, SQUARE, Check, verdict
from gat_lightning.evaluation.audit.subject import Outcome, Subject, significantly_lower

QUERIES = 1000
"""Of Square, per image."""

TOLERANCE = 0.02
"""How much lower the robust accuracy may be under a black-box attack than under the strongest white-box one."""


def square(subject: Subject) -> Check:
    """Square attack, a random search by queries, fools no more images than PGD."""
    name, reference = "black-box queries", f"{ATHALYE}; {SQUARE}"
    if subject.norm.name == "L1":
        explanation = "Square is defined for Linf and L2 only."
        return Check(name, "not applicable", {}, explanation, reference)
    outcome = subject.attacked(Square(norm=subject.norm, eps=subject.eps, queries=QUERIES), "square")
    return _compare(subject, outcome, name, f"Square ({QUERIES} queries)", reference)


def transfer(subject: Subject, surrogate: nn.Module | None) -> Check:
    """Adversarial images made on another model fool no more images than PGD on this one."""
    reference = f"{ATHALYE}; {CARLINI}"
    if surrogate is None:
        return Check("transfer", "not applicable", {}, "No surrogate model was given.", reference)
    attack = PGD(norm=subject.norm, eps=subject.eps, steps=20)
    outcome = subject.attacked(attack, "transfer", surrogate=surrogate)
    return _compare(subject, outcome, "transfer", "PGD on the surrogate", reference)


def _compare(subject: Subject, outcome: Outcome, name: str, attack: str, reference: str) -> Check:
    suspicious = significantly_lower(subject.strong.correct, outcome.correct, TOLERANCE)
    evidence = {
        "robust_accuracy_black_box": outcome.accuracy,
        "robust_accuracy_white_box": subject.strong.accuracy,
        "tolerance": TOLERANCE,
    }
    explanation = (
        f"Robust accuracy is {outcome.accuracy:.1%} under {attack} and {subject.strong.accuracy:.1%} under white-box "
        f"PGD{': gradients are masked' if suspicious else ''}."
    )
    return Check(name, verdict(suspicious), evidence, explanation, reference)

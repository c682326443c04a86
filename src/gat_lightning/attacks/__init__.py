"""Attacks: the inner maximisation. ``attack(problem, images)`` returns adversarial images."""

from gat_lightning.attacks.base import Attack
from gat_lightning.attacks.bim import BIM
from gat_lightning.attacks.budget import parse_budget
from gat_lightning.attacks.fgsm import FGSM
from gat_lightning.attacks.mim import MIM
from gat_lightning.attacks.pgd import PGD
from gat_lightning.attacks.problem import ClassifierProblem, LossProblem, Problem

__all__ = ["BIM", "FGSM", "MIM", "PGD", "Attack", "ClassifierProblem", "LossProblem", "Problem", "parse_budget"]

"""Attacks: the inner maximisation. ``attack(problem, images)`` returns adversarial images."""

from gat_lightning.attacks.aim import TargetedProblem
from gat_lightning.attacks.apgd import APGDCE, APGDDLR, APGDT
from gat_lightning.attacks.autoattack import AutoAttack, AutoAttackRand
from gat_lightning.attacks.base import Attack, AttackSettings
from gat_lightning.attacks.bim import BIM
from gat_lightning.attacks.budget import Radius, parse_budget
from gat_lightning.attacks.cw import CW
from gat_lightning.attacks.ensemble import Ensemble
from gat_lightning.attacks.external import ExternalAttack, ExternalSettings, LogitsModel
from gat_lightning.attacks.fab import FAB
from gat_lightning.attacks.fgsm import FGSM
from gat_lightning.attacks.friendly import FriendlyPGD
from gat_lightning.attacks.guard import undisturbed
from gat_lightning.attacks.iterative import AscentSettings, IterativeAttack, IterativeSettings, input_gradient
from gat_lightning.attacks.mim import MIM
from gat_lightning.attacks.norms import L1, L2, Linf, Norm, as_norm
from gat_lightning.attacks.pgd import PGD
from gat_lightning.attacks.problem import (
    BinaryProblem,
    ClassifierProblem,
    LossProblem,
    Problem,
    RankingProblem,
    TwoLogits,
)
from gat_lightning.attacks.square import Square

__all__ = [
    "APGDCE",
    "APGDDLR",
    "APGDT",
    "BIM",
    "CW",
    "FAB",
    "FGSM",
    "L1",
    "L2",
    "MIM",
    "PGD",
    "AscentSettings",
    "Attack",
    "AttackSettings",
    "AutoAttack",
    "AutoAttackRand",
    "BinaryProblem",
    "ClassifierProblem",
    "Ensemble",
    "ExternalAttack",
    "ExternalSettings",
    "FriendlyPGD",
    "IterativeAttack",
    "IterativeSettings",
    "Linf",
    "LogitsModel",
    "LossProblem",
    "Norm",
    "Problem",
    "Radius",
    "RankingProblem",
    "Square",
    "TargetedProblem",
    "TwoLogits",
    "as_norm",
    "input_gradient",
    "parse_budget",
    "undisturbed",
]

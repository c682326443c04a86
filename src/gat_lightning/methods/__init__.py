"""Outer minimisations: which objectives a step has."""

from gat_lightning.methods.adversarial import Adversarial
from gat_lightning.methods.base import Method
from gat_lightning.methods.madry import Madry
from gat_lightning.methods.standard import Standard

__all__ = ["Adversarial", "Madry", "Method", "Standard"]

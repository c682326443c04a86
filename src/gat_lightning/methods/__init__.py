"""Training methods: the outer minimisation, which decides the objectives of a step."""

from gat_lightning.methods.adversarial import Adversarial
from gat_lightning.methods.base import Method
from gat_lightning.methods.fast import Fast
from gat_lightning.methods.fgsm import FGSMTraining
from gat_lightning.methods.free import Free
from gat_lightning.methods.friendly import Friendly
from gat_lightning.methods.madry import Madry
from gat_lightning.methods.mart import Mart
from gat_lightning.methods.paired import Paired
from gat_lightning.methods.self_supervised import SelfSupervised
from gat_lightning.methods.standard import Standard
from gat_lightning.methods.trades import DivergenceProblem, Trades
from gat_lightning.methods.unlabeled import Consistency, ConsistencyProblem
from gat_lightning.methods.weight_perturbation import WeightPerturbation

__all__ = [
    "Adversarial",
    "Consistency",
    "ConsistencyProblem",
    "DivergenceProblem",
    "FGSMTraining",
    "Fast",
    "Free",
    "Friendly",
    "Madry",
    "Mart",
    "Method",
    "Paired",
    "SelfSupervised",
    "Standard",
    "Trades",
    "WeightPerturbation",
]

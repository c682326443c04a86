"""Rules from the Gramian of the objectives' gradients to one weight per objective."""

from gat_lightning.weighting.base import Weighting
from gat_lightning.weighting.diagnosis import adversarial_share, imbalance
from gat_lightning.weighting.equal import Equal
from gat_lightning.weighting.mgda import MGDA
from gat_lightning.weighting.min_norm import min_norm

__all__ = ["MGDA", "Equal", "Weighting", "adversarial_share", "imbalance", "min_norm"]

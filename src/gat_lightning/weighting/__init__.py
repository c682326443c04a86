"""Weightings: rules that map the Gramian of the objectives' gradients to one weight per objective."""

from gat_lightning.weighting.aligned_mtl import AlignedMTL
from gat_lightning.weighting.base import Weighting
from gat_lightning.weighting.ca_at import CAAT
from gat_lightning.weighting.cagrad import CAGrad
from gat_lightning.weighting.diagnosis import adversarial_share, imbalance
from gat_lightning.weighting.directional import DirectionalWeighting
from gat_lightning.weighting.equal import Equal
from gat_lightning.weighting.famo import FAMO
from gat_lightning.weighting.fixed import Fixed
from gat_lightning.weighting.gradvac import GradVac
from gat_lightning.weighting.imtl import IMTL
from gat_lightning.weighting.mgda import MGDA
from gat_lightning.weighting.min_norm import min_norm
from gat_lightning.weighting.nash_mtl import NashMTL
from gat_lightning.weighting.objective_names import ObjectiveName
from gat_lightning.weighting.pcgrad import PCGrad
from gat_lightning.weighting.surgery import GradientSurgery
from gat_lightning.weighting.torchjd import TorchJD
from gat_lightning.weighting.upgrad import UPGrad

__all__ = [
    "CAAT",
    "FAMO",
    "IMTL",
    "MGDA",
    "AlignedMTL",
    "CAGrad",
    "DirectionalWeighting",
    "Equal",
    "Fixed",
    "GradVac",
    "GradientSurgery",
    "NashMTL",
    "ObjectiveName",
    "PCGrad",
    "TorchJD",
    "UPGrad",
    "Weighting",
    "adversarial_share",
    "imbalance",
    "min_norm",
]

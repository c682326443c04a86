"""Encoders, decoders and the multi-task model."""

from gat_lightning.models.attach import attach_tasks
from gat_lightning.models.compiled import FastClassifier
from gat_lightning.models.encoder import Encoder, cut
from gat_lightning.models.encoders.preact_resnet import (
    BasicBlock,
    Block,
    Bottleneck,
    PreActResNet,
    preact_resnet18,
    preact_resnet50,
    preact_resnet_small,
)
from gat_lightning.models.encoders.timm import timm_classifier
from gat_lightning.models.encoders.torchvision import torchvision_classifier
from gat_lightning.models.encoders.wide_resnet import WideResNet, wide_resnet28_10, wide_resnet70_16
from gat_lightning.models.features import FeatureInfo, Features, LinearDecoder, PooledDecoder
from gat_lightning.models.multitask import Attachable, MultiTaskModel
from gat_lightning.models.normalize import Normalization, Normalize, normalized
from gat_lightning.models.stages import StageTap
from gat_lightning.models.unet import UNetDecoder

__all__ = [
    "Attachable",
    "BasicBlock",
    "Block",
    "Bottleneck",
    "Encoder",
    "FastClassifier",
    "FeatureInfo",
    "Features",
    "LinearDecoder",
    "MultiTaskModel",
    "Normalization",
    "Normalize",
    "PooledDecoder",
    "PreActResNet",
    "StageTap",
    "UNetDecoder",
    "WideResNet",
    "attach_tasks",
    "cut",
    "normalized",
    "preact_resnet18",
    "preact_resnet50",
    "preact_resnet_small",
    "timm_classifier",
    "torchvision_classifier",
    "wide_resnet28_10",
    "wide_resnet70_16",
]

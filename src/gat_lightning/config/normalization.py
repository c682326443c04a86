"""Mean and standard deviation that a model normalises images with: those that its weights were trained with."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gat_lightning.info import DataInfo
from gat_lightning.models.normalize import Normalization, normalization_of, replace_normalization
from gat_lightning.models.weights import INITIAL_WEIGHTS

log = logging.getLogger(__name__)


def normalization_for(encoder: Mapping[Any, Any], info: DataInfo) -> tuple[Any, Any]:
    """Mean and standard deviation that an encoder is called with: those of its settings, else the data's.

    Both are None where the encoder has these settings at null and begins with weights: it then takes what the weights
    were trained with.
    """
    mean, std = encoder.get("mean"), encoder.get("std")
    if mean is not None and std is not None:
        return tuple(mean), tuple(std)
    if "mean" in encoder and any(encoder.get(name) for name in INITIAL_WEIGHTS):
        return None, None
    return info.mean, info.std


def trained_normalization(content: dict[str, Any]) -> Normalization | None:
    """What the model in a checkpoint was normalised with; None where that is not ours, or not known.

    Checkpoints of versions without ``encoder.mean`` do not hold it. There, pretrained weights of torchvision and timm
    brought their own, and all other models had the data's.
    """
    if "normalization" in content:
        kept = content["normalization"]
        return None if kept is None else Normalization(**kept)
    data = content["gat_lightning"]["data"]
    return None if brought_its_normalization(content) else Normalization(list(data["mean"]), list(data["std"]))


def brought_its_normalization(content: dict[str, Any]) -> bool:
    """Whether a checkpoint is of a version without ``encoder.mean``, and its model began with pretrained weights."""
    encoder = content["gat_lightning"]["config"]["encoder"]
    return "normalization" not in content and is_of_library(encoder) and bool(encoder.get("pretrained"))


def is_of_library(encoder: Mapping[Any, Any]) -> bool:
    """Whether an encoder is one of this package, whose settings ``pretrained`` and ``weights`` are initial weights."""
    return str(encoder["_target_"]).startswith("gat_lightning.models.")


def carry_normalization(model: nn.Module, content: dict[str, Any], source: object) -> None:
    """Normalise as the model did whose weights this one has taken; a difference is logged.

    Args:
        model: is changed in place; nothing happens where its normalisation is not ours.
        content: of the checkpoint that the weights are from.
        source: what messages call it.
    """
    theirs, ours = trained_normalization(content), normalization_of(model)
    if theirs is None or ours is None:
        return
    replace_normalization(model, theirs)
    if not torch.allclose(torch.tensor(theirs), torch.tensor(ours)):
        log.info(
            "Images are normalised with mean %s and std %s, as the weights of %s were trained, not with the mean and"
            " the deviation of the data.", *theirs, source,
        )  # fmt: skip

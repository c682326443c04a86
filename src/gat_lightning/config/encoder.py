"""Checks that an encoder accepts the arguments of encoders, before data are read."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

from omegaconf import DictConfig

from gat_lightning.config.constructors import parameters
from gat_lightning.config.files import GIVEN_TO_ENCODERS
from gat_lightning.errors import UserError

_LIBRARIES = ("torchvision", "timm")
"""Whose models are called in another way; an option of the group ``encoder`` is named after each."""


def check_encoder(encoder: DictConfig) -> None:
    """Compare the signature of the encoder's target with what it is called with; nothing is called.

    Raises:
        UserError: it does not take all of that or wants more, or is a model of a library, for which there is an option.
    """
    name = str(encoder["_target_"])
    target = resolve_name(name)
    library = str(target.__module__).split(".")[0]
    if library in _LIBRARIES:
        known = target.__name__ in resolve_name(f"{library}.models.list_models")()
        raise UserError(
            f"encoder._target_={name} cannot be called with {_joined(GIVEN_TO_ENCODERS)}, as encoders are: choose"
            f" encoder={library} encoder.name={target.__name__ if known else 'NAME'} instead."
        )
    accepted, takes_any = parameters(target)
    refused = [argument for argument in GIVEN_TO_ENCODERS if argument not in accepted]
    if refused and not takes_any:
        raise UserError(
            f"encoder._target_={name} is called with {_joined(GIVEN_TO_ENCODERS)}; it does not take"
            f" {_joined(refused)}: let it accept them, by name or as **kwargs."
        )
    lacking = [argument for argument in _needed(target) if argument not in (*GIVEN_TO_ENCODERS, *encoder)]
    if lacking:
        settings = " ".join(f"+encoder.{argument}=VALUE" for argument in lacking)
        raise UserError(f"encoder._target_={name} needs {_joined(lacking)}: set {settings}.")


def _needed(target: Callable[..., Any]) -> list[str]:
    """Parameters without a default."""
    try:
        found = inspect.signature(target).parameters.values()
    except ValueError:  # written in C
        return []
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [each.name for each in found if each.default is each.empty and each.kind in by_name]


def _joined(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)

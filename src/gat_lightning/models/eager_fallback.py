"""A compiled module that runs eagerly from the first failure of a compiler on."""

import logging
from typing import Any

import torch
from torch import nn

log = logging.getLogger(__name__)

_SHOWN = 200
"""Most characters of a compiler's message."""
_FAILED = "compiling_failed"


def fall_back_to_eager(module: nn.Module) -> None:
    """Let a module, after ``module.compile()``, run eagerly and log one warning where compiling it fails.

    It fails in the first pass of each kind, such as the first one in eval mode. Only a backward that torch compiles
    later, when it runs, still raises.
    """
    compiled: Any = module._compiled_call_impl

    def run(*arguments: Any, **named: Any) -> Any:
        try:
            return compiled(*arguments, **named)
        except torch._dynamo.exc.TorchDynamoException as error:
            module._compiled_call_impl = None
            setattr(module, _FAILED, True)
            log.warning("Compiling failed, and the model runs uncompiled: %s", " ".join(str(error).split())[:_SHOWN])
            return module(*arguments, **named)

    module._compiled_call_impl = run


def compiling_failed(module: nn.Module) -> bool:
    """Whether a module of :func:`fall_back_to_eager` runs eagerly by now."""
    return getattr(module, _FAILED, False)

"""A compiled module that runs eagerly where compiling it fails, and on batches of other sizes than it is meant for."""

import logging
from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from gat_lightning.errors import one_line

log = logging.getLogger(__name__)


class _Call:
    """What calls of a compiled module go to."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._compiled: Any = module._compiled_call_impl
        self.sizes: Collection[int] | None = None
        self.failed = False

    def __call__(self, *arguments: Any) -> Any:
        if self.failed or (self.sizes is not None and len(arguments[0]) not in self.sizes):
            return self._module._call_impl(*arguments)
        try:
            return self._compiled(*arguments)
        except torch._dynamo.exc.TorchDynamoException as error:
            self.failed = True
            log.warning("Compiling failed, and the model runs uncompiled: %s", one_line(error, 200))
            return self._module._call_impl(*arguments)


def fall_back_to_eager(module: nn.Module) -> None:
    """Let a module, after ``module.compile()``, run eagerly and log one warning where compiling it fails.

    It fails in the first pass of each kind, such as the first one in eval mode. Only a backward that torch compiles
    later, when it runs, still raises.
    """
    module._compiled_call_impl = _Call(module)


def compile_only(module: nn.Module, sizes: Collection[int]) -> None:
    """Let a module of :func:`fall_back_to_eager` run eagerly on batches of other sizes than these."""
    call: Any = module._compiled_call_impl
    call.sizes = sizes


def compiling_failed(module: nn.Module) -> bool:
    """Whether a module of :func:`fall_back_to_eager` runs eagerly by now."""
    call = module._compiled_call_impl
    return isinstance(call, _Call) and call.failed

"""Compilation without a compiler: graphs are traced by AOTAutograd and run one operation after the other."""

from collections.abc import Callable

import pytest
import torch
from functorch.compile import make_boxed_func
from torch import Tensor
from torch._dynamo.backends.common import aot_autograd


def traced(monkeypatch: pytest.MonkeyPatch) -> list[torch.fx.GraphModule]:
    """Let ``torch.compile`` trace alone, in this test; the graphs that it has traced."""
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        graphs.append(graph)
        return make_boxed_func(graph.forward)

    _compile_by(aot_autograd(fw_compiler=keep), monkeypatch)
    return graphs


def fail_to_compile(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    """Let the compiler of ``torch.compile`` fail in this test."""

    def fail(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        raise RuntimeError(message)

    _compile_by(fail, monkeypatch)


def _compile_by(backend: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **settings: compile_(function, backend=backend, **settings))
    torch._dynamo.reset()

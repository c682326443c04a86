"""Compilation without a compiler: graphs are traced by AOTAutograd and run one operation after the other."""

from collections.abc import Callable
from typing import Any

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


def without_graph_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``torch.compile`` use the backend ``aot_eager`` in this test, and raise where it would split a graph."""
    _compile_by("aot_eager", monkeypatch, fullgraph=True)


def fail_to_compile(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    """Let the compiler of ``torch.compile`` fail in this test."""

    def fail(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        raise RuntimeError(message)

    _compile_by(fail, monkeypatch)


def _compile_by(
    backend: str | Callable[..., object], monkeypatch: pytest.MonkeyPatch, fullgraph: bool | None = None
) -> None:
    compile_ = torch.compile

    def compiled(function: Callable[..., object], **settings: Any) -> Any:
        settings.pop("options", None)  # Inductor's
        if fullgraph is not None:
            settings["fullgraph"] = fullgraph
        return compile_(function, backend=backend, **settings)

    monkeypatch.setattr(torch, "compile", compiled)
    torch._dynamo.reset()

"""Where compiling fails: one message, then eager, with the same numbers."""

import copy

import pytest
import torch
from torch import nn

from gat_lightning.models.eager_fallback import compile_only, compiling_failed, fall_back_to_eager


class Net(nn.Sequential):
    """Before torch 2.14 modules of torch's own are not compiled by themselves."""

    def forward(self, images):
        return super().forward(images)


def net():
    torch.manual_seed(0)
    return Net(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


def compiled(module, backend):
    torch._dynamo.reset()
    module.compile(backend=backend)
    fall_back_to_eager(module)
    return module


def ours(caplog):
    """Messages that are not torch's."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("gat_lightning")]


def failing(graph, inputs):
    raise RuntimeError("no such file: cassert")


@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_a_failing_compiler_is_said_once_and_the_model_runs(caplog):
    x = torch.rand(4, 1, 4, 4)
    eager, other = net(), compiled(net(), failing)
    assert not compiling_failed(other)
    for mode in (True, False):
        eager.train(mode), other.train(mode)
        assert torch.equal(eager(x), other(x))
    assert compiling_failed(other)
    (message,) = ours(caplog)
    assert message.startswith("Compiling failed, and the model runs uncompiled: ")
    assert "no such file: cassert" in message
    for name, buffer in eager.named_buffers():
        assert torch.equal(buffer, dict(other.named_buffers())[name]), name
    torch._dynamo.reset()


def test_a_compiler_that_works_is_used_and_copies_are_eager(caplog):
    calls = []

    def counting(graph, inputs):
        calls.append(graph)
        return graph.forward

    module = compiled(net().eval(), counting)
    x = torch.rand(4, 1, 4, 4)
    assert torch.equal(module(x), net().eval()(x))
    assert len(calls) == 1
    assert not compiling_failed(module)
    assert torch.equal(copy.deepcopy(module)(x), module(x))
    assert len(calls) == 1
    assert not ours(caplog)
    torch._dynamo.reset()


def test_an_error_of_the_model_is_its_own():
    module = compiled(net().eval(), "eager")
    with pytest.raises(RuntimeError, match=r"channels"):
        module(torch.rand(4, 3, 4, 4))
    torch._dynamo.reset()


def test_batches_of_other_sizes_run_eagerly():
    calls = []

    def counting(graph, inputs):
        calls.append(len(inputs))
        return graph.forward

    module = compiled(net().eval(), counting)
    compile_only(module, {4})
    x = torch.rand(7, 1, 4, 4)
    for size in (7, 3):
        assert torch.equal(module(x[:size]), net().eval()(x[:size]))
    assert not calls
    assert torch.equal(module(x[:4]), net().eval()(x[:4]))
    assert len(calls) == 1
    torch._dynamo.reset()

"""Training steps with a compiled encoder, against eager ones in float64."""

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from torch.utils.data import DataLoader

from gat_lightning.curvature.terms import Curvature
from gat_lightning.methods import Madry, Standard
from gat_lightning.models.compiler import compiler_settings
from support.graphs import without_graph_breaks
from support.methods import METHODS
from support.trainers import quiet_trainer
from support.training_steps import classifier, gradients_after, largest_difference, normalised, toy_batch, toy_module

DIFFERENCE = {"derivative": "finite_difference", "step": 1e-4}
CURVATURES = {
    "off": lambda: Curvature("off"),
    "objective": Curvature,
    "penalty": lambda: Curvature("penalty"),
    "forward": lambda: Curvature(**DIFFERENCE),
    "central": lambda: Curvature(**DIFFERENCE, scheme="central"),
    "penalty, forward": lambda: Curvature("penalty", **DIFFERENCE),
}


def with_dropout():
    """The normalised network with dropout of values and of feature maps."""
    net = normalised()
    return nn.Sequential(*net[:3], nn.Dropout2d(0.3), *net[3:7], nn.Dropout(0.5), net[7])


def after_a_step(compiled, net, method, curvature, separate=False, **settings):
    """Gradients and buffers."""
    torch.manual_seed(1)
    module = toy_module(method(), curvature(), None, separate, net=net(), compiled=compiled, **settings)
    return gradients_after(module, toy_batch(16)), dict(module.model.named_buffers())


def check_equal(*args, **settings):
    (eager, statistics), (compiled, compiled_statistics) = (
        after_a_step(compiled, *args, **settings) for compiled in (False, True)
    )
    assert largest_difference(eager, compiled) < 1e-9
    assert not statistics or largest_difference(statistics, compiled_statistics) < 1e-12


@pytest.mark.parametrize("curvature", ["off", "objective", "forward"])
def test_a_compiled_step_with_batchnorm_equals_an_eager_one(monkeypatch, curvature):
    without_graph_breaks(monkeypatch)
    check_equal(normalised, METHODS["madry_separate"], CURVATURES[curvature])


@pytest.mark.slow
@pytest.mark.parametrize("separate", [False, True], ids=["shared", "separate views"])
@pytest.mark.parametrize("curvature", CURVATURES)
@pytest.mark.parametrize("method", METHODS)
def test_every_compiled_step_in_parts_equals_an_eager_one(monkeypatch, method, curvature, separate):
    without_graph_breaks(monkeypatch)
    check_equal(normalised, METHODS[method], CURVATURES[curvature], separate, micro_batch=8)


@pytest.mark.slow
@pytest.mark.parametrize("space", ["parameters", "representation"])
@pytest.mark.parametrize("micro_batch", [None, 8])
@pytest.mark.parametrize("curvature", ["off", "penalty", "penalty, forward"])
@pytest.mark.parametrize("net", [classifier, normalised, with_dropout])
def test_a_compiled_step_in_either_space_equals_an_eager_one(monkeypatch, net, curvature, micro_batch, space):
    """Whole batches and parts, whose activations are computed again in the space of representations."""
    without_graph_breaks(monkeypatch)
    check_equal(net, Madry, CURVATURES[curvature], micro_batch=micro_batch, space=space)


@pytest.mark.slow
@pytest.mark.parametrize("net", [normalised, with_dropout])
@pytest.mark.parametrize("curvature", ["off", "objective", "forward"])
def test_a_step_compiled_by_inductor_equals_an_eager_one(net, curvature):
    torch._dynamo.reset()
    check_equal(net, METHODS["madry_separate"], CURVATURES[curvature], separate=True)


@pytest.mark.slow
def test_batches_of_other_sizes_are_compiled_once(monkeypatch):
    """The second size is compiled for any size."""
    without_graph_breaks(monkeypatch)
    graphs = []
    for sizes in ([16, 13], [16, 13, 9, 16, 11]):
        torch._dynamo.reset()
        counters.clear()
        module = toy_module(Madry(), "off", None, False, net=normalised(), compiled=True)
        batches = [toy_batch(size) for size in sizes]
        quiet_trainer(max_steps=len(sizes)).fit(module, DataLoader(batches, batch_size=None))
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs[0] == graphs[1] <= 6


def test_the_settings_of_the_compiler_end_with_the_training(monkeypatch):
    without_graph_breaks(monkeypatch)
    before = torch._dynamo.config.recompile_limit, torch._functorch.config.donated_buffer
    with compiler_settings():
        assert torch._dynamo.config.recompile_limit > before[0]
        assert not torch._functorch.config.donated_buffer
    gradients_after(toy_module(Standard(), "off", None, False, compiled=True))
    assert (torch._dynamo.config.recompile_limit, torch._functorch.config.donated_buffer) == before


@pytest.mark.slow
@pytest.mark.parametrize("micro_batch", [None, 7])
def test_what_a_run_compiles_does_not_depend_on_the_order_of_sizes(monkeypatch, micro_batch):
    """Only parts of the usual batch are compiled, each size for itself, whichever comes first."""
    without_graph_breaks(monkeypatch)
    graphs = []
    for sizes in ([16, 13], [13, 16], [16]):
        torch._dynamo.reset()
        counters.clear()
        module = toy_module(Madry(), "off", None, False, net=normalised(), compiled=True, micro_batch=micro_batch)
        monkeypatch.setattr(module, "on_train_start", lambda module=module: module.passes.compile_only(16))
        batches = [toy_batch(size) for size in sizes]
        quiet_trainer(max_steps=len(sizes)).fit(module, DataLoader(batches, batch_size=None))
        graphs.append(counters["stats"]["unique_graphs"])
    assert graphs[0] == graphs[1] == graphs[2] > 0

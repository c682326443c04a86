"""Compiled classifiers: the outputs and input gradients of the classifier itself, whatever the size of the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gat_lightning.models import preact_resnet_small
from gat_lightning.models.compiled import FastClassifier, padded_size
from support.graphs import fail_to_compile, traced

IMAGE = (2, 8, 8)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[torch.fx.GraphModule]:
    return traced(monkeypatch)


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, 2), nn.Flatten(), nn.Linear(16, 5)
    )
    model(torch.rand(16, *IMAGE))  # moves BatchNorm's statistics
    return model.eval()


def images(count: int) -> Tensor:
    return torch.rand(count, *IMAGE, generator=torch.Generator().manual_seed(count))


def both(model: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor]:
    batch = batch.clone().requires_grad_()
    output = model(batch)
    return output.detach(), torch.autograd.grad(output.logsumexp(1).sum(), batch)[0]


def assert_equal_to_rounding(fast: nn.Module, plain: nn.Module, sizes: list[int]) -> None:
    for size in sizes:
        batch = images(size)
        output, gradient = both(fast, batch)
        expected, expected_gradient = both(plain, batch)
        assert output.shape == expected.shape
        torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-6)
        with torch.no_grad():
            torch.testing.assert_close(fast(batch), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels_last", [False, True])
def test_padding_changes_no_output_and_compiles_nothing_anew(
    graphs: list[torch.fx.GraphModule], channels_last: bool
) -> None:
    fast = FastClassifier(network(), channels_last)
    assert fast.try_to_compile(images(24)) is None
    compiled = len(graphs)
    assert_equal_to_rounding(fast, network(), [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50])
    assert len(graphs) == compiled == 3  # without a gradient; forward and backward


def test_small_batches_from_the_start_are_compiled_for_small_ones(graphs: list[torch.fx.GraphModule]) -> None:
    fast = FastClassifier(network())
    assert fast.try_to_compile(images(8)) is None
    assert_equal_to_rounding(fast, network(), [1, 2, 5, 8])
    assert len(graphs) == 3


def test_parameters_are_frozen_and_no_gradient_of_them_is_computed(graphs: list[torch.fx.GraphModule]) -> None:
    fast = FastClassifier(network())
    assert fast.try_to_compile(images(8)) is None
    assert not any(parameter.requires_grad for parameter in fast.parameters())
    backward = max(graphs, key=lambda graph: str(graph.graph).count("convolution_backward"))
    masks = [node.args[-1] for node in backward.graph.nodes if "convolution_backward" in str(node.target)]
    assert masks
    assert set(map(tuple, masks)) == {(True, False, False)}


def test_train_mode_runs_without_padding(graphs: list[torch.fx.GraphModule]) -> None:
    fast, plain = FastClassifier(network()), network()
    assert fast.try_to_compile(images(8)) is None
    torch.testing.assert_close(fast.train()(images(33)), plain.train()(images(33)))


class Coupled(nn.Module):
    """Every image is compared with the mean of its batch."""

    def forward(self, batch: Tensor) -> Tensor:
        return (batch - batch.mean(0)).flatten(1)


class Random(nn.Module):
    """Dropout in eval mode too."""

    def forward(self, batch: Tensor) -> Tensor:
        return nn.functional.dropout(batch.flatten(1), training=True)


class OnOtherPath(nn.Module):
    """A network whose output differs where it is compiled."""

    def forward(self, batch: Tensor) -> Tensor:
        return batch.flatten(1) * (2 if torch.compiler.is_compiling() else 1)


class NotCompilable(nn.Module):
    """A network with a branch on values."""

    def forward(self, batch: Tensor) -> Tensor:
        return batch.flatten(1) * (2 if float(batch.sum()) > 0 else 1)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Coupled(), "its output of an image depends on the other images of the batch"),
        (network().train(), None),  # it is set to eval mode
        (Random(), "it draws random numbers"),
        (OnOtherPath(), "compiled, it gives other outputs"),
        (NotCompilable(), "compiling it failed: "),
    ],
)
def test_what_cannot_be_compiled_runs_as_it_is(
    graphs: list[torch.fx.GraphModule], model: nn.Module, reason: str | None
) -> None:
    fast = FastClassifier(model)
    found = fast.try_to_compile(images(8))
    assert found is None if reason is None else found is not None and found.startswith(reason)
    torch.manual_seed(1)
    expected = model(images(5))
    torch.manual_seed(1)
    torch.testing.assert_close(fast(images(5)), expected)


def test_a_compiler_that_fails_leaves_the_classifier_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_compile(monkeypatch, "g++: not found")
    fast = FastClassifier(network())
    reason = fast.try_to_compile(images(8))
    assert reason is not None
    assert "g++: not found" in reason
    assert not fast.is_compiled
    assert_equal_to_rounding(fast, network(), [1, 5])


def test_little_padding() -> None:
    for count in range(1, 300):
        size = padded_size(count)
        assert count <= size <= count * 9 / 8
        assert padded_size(size) == size


def test_eight_sizes_between_powers_of_two() -> None:
    assert len({padded_size(count) for count in range(65, 129)}) == 8


@pytest.mark.slow
@pytest.mark.parametrize("channels_last", [False, True])
def test_inductor(channels_last: bool) -> None:
    torch._dynamo.reset()
    fast, plain = (
        preact_resnet_small(num_classes=5, image=IMAGE, mean=(0.5,) * 2, std=(0.25,) * 2, width=4).eval()
        for _ in range(2)
    )
    plain.load_state_dict(fast.state_dict())
    compiled = FastClassifier(fast, channels_last)
    assert compiled.try_to_compile(images(16)) is None
    assert_equal_to_rounding(compiled, plain, [1, 5, 16, 40])

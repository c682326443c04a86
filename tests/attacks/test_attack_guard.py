"""An attack leaves no trace in the model, its gradients, or the generators."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gat_lightning.attacks import PGD, ClassifierProblem, LossProblem
from gat_lightning.attacks.guard import MODES, undisturbed
from support.attack_traces import trace

ModelMaker = Callable[..., nn.Module]


modes = pytest.mark.parametrize("mode", MODES)


@modes
@pytest.mark.parametrize("training", [True, False])
def test_everything_is_as_before(
    normalised_model: ModelMaker, mode: str, training: bool, images: Tensor, labels: Tensor
) -> None:
    model = normalised_model(dropout=0.5)
    if not training:
        model.eval()
    before = trace(model)
    PGD(steps=3, restarts=2, mode=mode)(ClassifierProblem(model, labels), images)
    assert trace(model) == before


@modes
@pytest.mark.parametrize("step", [0, 2])
def test_everything_is_as_before_when_the_loss_raises(
    normalised_model: ModelMaker, mode: str, step: int, images: Tensor, labels: Tensor
) -> None:
    model = normalised_model(dropout=0.5)
    before, calls = trace(model), []

    def loss(x: Tensor) -> Tensor:
        logits = model(x)
        if len(calls) == step:
            raise KeyboardInterrupt
        calls.append(None)
        return logits.logsumexp(1)

    with pytest.raises(KeyboardInterrupt):
        PGD(mode=mode)(LossProblem(loss, model), images)
    assert trace(model) == before


@modes
def test_existing_gradients_are_untouched(
    normalised_model: ModelMaker, mode: str, images: Tensor, labels: Tensor
) -> None:
    model = normalised_model()
    nn.functional.cross_entropy(model(images), labels).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    images.requires_grad_()
    PGD(steps=2, mode=mode)(ClassifierProblem(model, labels), images)
    assert images.grad is None
    assert all(torch.equal(p.grad, gradients[name]) for name, p in model.named_parameters() if name in gradients)


@modes
def test_a_graph_made_before_the_attack_still_works(
    normalised_model: ModelMaker, mode: str, images: Tensor, labels: Tensor
) -> None:
    """In training the clean forward may come first: its backward must see no change."""

    def gradients(attack: bool) -> list[Tensor]:
        model = normalised_model()
        loss = nn.functional.cross_entropy(model(images), labels)
        if attack:
            PGD(steps=2, mode=mode)(ClassifierProblem(model, labels), images)
        loss.backward()
        return [parameter.grad for parameter in model.parameters() if parameter.requires_grad]

    assert all(torch.equal(a, b) for a, b in zip(gradients(True), gradients(False), strict=True))


@modes
def test_the_mode_is_in_force_and_no_parameter_requires_a_gradient(
    normalised_model: ModelMaker, mode: str, images: Tensor
) -> None:
    model, seen = normalised_model(), set()

    def loss(x: Tensor) -> Tensor:
        seen.update(part.training for part in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
        return model(x).logsumexp(1)

    PGD(steps=2, mode=mode)(LossProblem(loss, model), images)
    assert seen == {mode == "train"}


def test_train_mode_uses_batch_statistics(normalised_model: ModelMaker, images: Tensor, labels: Tensor) -> None:
    """Then the running statistics, however wrong, have no influence."""
    results = []
    for shift in (0.0, 3.0):
        model = normalised_model()
        model[1].running_mean += shift
        results.append(PGD(steps=3, random_start="none", mode="train")(ClassifierProblem(model, labels), images))
    assert torch.equal(*results)


def test_buffers_that_a_module_replaces_are_put_back(images: Tensor) -> None:
    class Average(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("average", torch.zeros(3))

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                self.average = 0.9 * self.average + 0.1 * x.detach().mean((0, 2, 3))
            return (x - self.average[:, None, None]).pow(2).sum((1, 2, 3))

    model = Average()
    before = trace(model)
    PGD(steps=2, mode="train")(model, images)
    assert trace(model) == before


@modes
def test_draws_of_the_model_do_not_move_the_global_generator(mode: str, images: Tensor) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        expected = torch.rand(3)
        torch.manual_seed(0)
        PGD(steps=2, mode=mode)(lambda x: (x * torch.rand_like(x)).sum((1, 2, 3)), images)
        assert torch.equal(torch.rand(3), expected)


@modes
def test_works_without_gradients_outside(
    normalised_model: ModelMaker, mode: str, images: Tensor, labels: Tensor
) -> None:
    model = normalised_model()
    attack = PGD(steps=2, random_start="none", mode=mode)
    expected = attack(ClassifierProblem(model, labels), images)
    with torch.no_grad():
        assert torch.equal(attack(ClassifierProblem(model, labels), images), expected)
        assert not torch.is_grad_enabled()


def test_inference_mode_is_refused_with_the_remedy(
    normalised_model: ModelMaker, images: Tensor, labels: Tensor
) -> None:
    model = normalised_model()
    before = trace(model)
    with torch.inference_mode(), pytest.raises(ValueError, match=r"Trainer\(inference_mode=False\)"):
        PGD()(ClassifierProblem(model, labels), images)
    assert trace(model) == before


def test_images_from_inference_mode_can_be_attacked_outside(normalised_model: ModelMaker, labels: Tensor) -> None:
    with torch.inference_mode():
        images = torch.rand(8, 3, 8, 8)
    adversarial = PGD(steps=2)(ClassifierProblem(normalised_model(), labels), images)
    assert not adversarial.is_inference()


def test_nested_guards_restore_the_outermost_state(normalised_model: ModelMaker) -> None:
    model = normalised_model()
    before = trace(model)
    with undisturbed(model, "train"):
        model(torch.rand(4, 3, 8, 8))
        with undisturbed(model, "eval"):
            assert not any(part.training for part in model.modules())
        assert all(part.training for part in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert trace(model) == before


def test_shared_parameters_and_modules_are_restored_once(images: Tensor) -> None:
    convolution = nn.Conv2d(3, 3, 3, padding=1)
    model = nn.Sequential(convolution, nn.BatchNorm2d(3), convolution, nn.Flatten())
    model.tied = nn.Conv2d(3, 3, 3)
    model.tied.weight = convolution.weight
    before = trace(model)
    with undisturbed(model, "train"):
        model[:4](images)
    assert trace(model) == before


def test_guard_works_without_module() -> None:
    with torch.no_grad(), undisturbed(None):
        assert torch.is_grad_enabled()

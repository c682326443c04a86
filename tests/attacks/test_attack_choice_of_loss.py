"""``loss=margin`` and ``loss=dlr`` in place of the problem's own loss."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gat_lightning.attacks import BIM, FGSM, MIM, PGD, Attack, BinaryProblem, ClassifierProblem, FriendlyPGD
from gat_lightning.attacks.losses import LOSSES, dlr, margin
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.methods import Trades
from gat_lightning.models import Features
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import Classification, Regression, TaskProblem, Views

LOGITS = torch.tensor([[4.0, 1.0, 3.0, -2.0], [1.0, 2.0, 0.5, 0.0]])


def test_margin_and_dlr_are_the_published_ones() -> None:
    classes = torch.tensor([0, 2])
    assert margin(LOGITS, classes).tolist() == [3.0 - 4.0, 2.0 - 0.5]
    assert torch.allclose(dlr(LOGITS, classes), torch.tensor([(3.0 - 4.0) / (4.0 - 1.0), (2.0 - 0.5) / (2.0 - 0.5)]))
    for loss in LOSSES.values():
        assert loss(LOGITS, torch.tensor([-1, -1])).tolist() == [0, 0]


def test_dlr_does_not_depend_on_the_scale_of_the_logits() -> None:
    logits = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    classes = torch.arange(20) % 5
    assert torch.allclose(dlr(1000 * logits, classes), dlr(logits, classes), atol=1e-5)


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("attack", [FGSM, BIM, MIM, PGD, FriendlyPGD])
def test_an_attack_on_a_loss_is_the_attack_on_a_problem_with_that_loss(
    attack: type[Attack], loss: str, problem: ClassifierProblem, images: Tensor
) -> None:
    other = ClassifierProblem(problem.model, problem.labels, LOSSES[loss])
    chosen = attack(loss=loss)(problem, images, BatchGenerator(Shard.whole(8), "loss"))
    assert torch.equal(chosen, attack()(other, images, BatchGenerator(Shard.whole(8), "loss")))
    assert not torch.equal(chosen, attack()(problem, images, BatchGenerator(Shard.whole(8), "loss")))


def test_the_margin_of_one_logit_is_the_signed_logit(images: Tensor) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
    labels = torch.arange(8) % 2
    signed = model(images).flatten() * (2 * labels - 1)
    problem = BinaryProblem(model, labels)
    assert torch.allclose(problem.decision_loss(images, margin), -signed)


class Shared(nn.Module):
    """The first K pixels are the outputs of a task with K of them."""

    def __init__(self, **widths: int) -> None:
        super().__init__()
        self.widths = widths

    def encode(self, images: Tensor) -> Features:
        return Features(images.flatten(1))

    def decode(self, features: Features, names: list[str]) -> dict[str, Tensor]:
        return {name: features.pooled[:, : self.widths[name]] for name in names}


def made(task: Classification | Regression, info: LabelInfo) -> Classification | Regression:
    task.setup(DataInfo("any", (1, 2, 2), (0.0,), (1.0,), {task.name: info}))
    return task


def test_losses_of_several_tasks_add_up(images: Tensor) -> None:
    tasks = [made(Classification(name), LabelInfo(tuple("abcd"[:size]))) for name, size in (("a", 4), ("b", 3))]
    labels = {"a": torch.arange(8) % 4, "b": torch.tensor([-1, *(torch.arange(7) % 3).tolist()])}
    problem = TaskProblem(Shared(a=4, b=3), Views(images, labels), tasks)
    pixels = images.flatten(1)
    expected = margin(pixels[:, :4], labels["a"]) + margin(pixels[:, :3], labels["b"])
    assert torch.allclose(problem.decision_loss(images, margin), expected)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (lambda images, labels: lambda x: x.sum((1, 2, 3)), "has only a loss of its own"),
        (
            lambda images, labels: Trades(eps=0.1).problem(Shared(), Views(images, labels), [], []),
            "has only a loss of its own",
        ),
        (
            lambda images, labels: TaskProblem(
                Shared(age=1), Views(images, labels), [made(Regression("age"), LabelInfo((), "regression"))]
            ),
            "'age' is regression and has no classes",
        ),
        (
            lambda images, labels: BinaryProblem(nn.Sequential(nn.Flatten(), nn.Linear(192, 1)), labels["class"]),
            "at least 3 classes, got 2: use margin",
        ),
    ],
)
def test_problems_without_such_a_loss_are_named(problem: Callable, message: str, images: Tensor) -> None:
    labels = {"age": torch.rand(8), "class": torch.arange(8) % 2}
    with pytest.raises(ValueError, match=message):
        FGSM(loss="dlr")(problem(images, labels), images)

"""Several random starts of PGD: which one an image keeps."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from gat_lightning.attacks import PGD, ClassifierProblem
from gat_lightning.batch import Batch
from gat_lightning.evaluation.target import Target
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.models import Features, MultiTaskModel
from gat_lightning.randomness import BatchGenerator, ImageGenerator, Shard
from gat_lightning.runs.metric_names import MetricName
from gat_lightning.tasks import Classification, TaskProblem, Views
from gat_lightning.training.validation import Scoring

SIZE = 16
BRIGHTER, DARKER = (1.0, 0.99, 0.99), (0.0, 0.01, -10.0)
"""Logits of a brighter image, right with a loss of 1.1, and of a darker one, wrong with a loss of 0.7."""


class Sides(nn.Module):
    """A classifier that every darker image fools, although brighter ones have the higher loss."""

    def forward(self, images: Tensor) -> Tensor:
        brighter = (images.flatten(1).mean(1) > 0.5)[:, None]
        return torch.where(brighter, images.new_tensor(BRIGHTER), images.new_tensor(DARKER)) + 0 * images.mean()


class SidesOfATask(MultiTaskModel):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.unused = nn.Parameter(torch.zeros(1))
        self.sides = Sides()

    def encode(self, images: Tensor) -> Features:
        return Features(images)

    def decode(self, features: Features, names: list[str]) -> dict[str, Tensor]:
        return {name: self.sides(features.pooled) for name in names}


def task() -> Classification:
    target = Classification("class")
    target.setup(DataInfo("any", (1, 2, 2), (0.0,), (1.0,), {"class": LabelInfo(("a", "b", "c"))}))
    return target


def pgd(restarts: int) -> PGD:
    return PGD(eps=0.1, steps=1, step_size=1e-6, restarts=restarts)


IMAGES = torch.full((SIZE, 1, 2, 2), 0.5)
LABELS = torch.zeros(SIZE, dtype=torch.long)


def fooled(images: Tensor) -> Tensor:
    return Sides()(images).argmax(1) != LABELS


def key() -> BatchGenerator:
    return BatchGenerator(Shard.whole(SIZE), "restarts")


def test_an_image_that_any_start_fools_is_fooled() -> None:
    problem = ClassifierProblem(Sides(), LABELS)
    some = [fooled(pgd(restarts)(problem, IMAGES, key())) for restarts in (1, 2, 3, 12)]
    for fewer, more in pairwise(some):
        assert (more >= fewer).all()
    assert not some[0].all()
    assert some[-1].all()


def test_validation_and_test_count_an_image_that_any_start_fools_as_fooled() -> None:
    scoring = Scoring(SidesOfATask().eval(), [task()], {"pgd1": pgd(12)}, 0, "val")
    scoring.update(Batch(IMAGES, {"class": LABELS}, torch.arange(SIZE), Shard.whole(SIZE)), 0)
    assert scoring.compute()[MetricName("val", "pgd1", "accuracy")] == 0


def test_evaluations_count_an_image_that_any_start_fools_as_fooled() -> None:
    batch = Batch(IMAGES, {"class": LABELS}, torch.arange(SIZE), Shard.whole(SIZE))
    target = Target(Sides(), task())
    problem = target.problem(batch, lambda purpose: ImageGenerator(batch.index, 0, purpose))
    assert not target.outcomes(pgd(12)(problem, IMAGES, key()), LABELS).correct.any()


def test_the_attack_of_the_training_keeps_the_highest_loss() -> None:
    problem = TaskProblem(SidesOfATask(), Views(IMAGES, {"class": LABELS}), [task()])
    adversarial = pgd(12)(problem, IMAGES, key())
    assert (Sides()(adversarial) == torch.tensor(BRIGHTER)).all()

"""A small digits classifier, trained in a second, and the tasks and splits that go with it."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from gat_lightning.data import Digits
from gat_lightning.data.dataset import ArrayDataset
from gat_lightning.info import DataInfo
from gat_lightning.models.features import FeatureInfo, LinearDecoder
from gat_lightning.tasks import Classification
from gat_lightning.tasks.base import Kind, Task, masked


class Small(nn.Sequential):
    def __init__(self, outputs: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, outputs))


class Toy(Task):
    """The simplest task of another kind."""

    def __init__(self, kind: Kind, name: str = "class") -> None:
        self.kind, self.name = kind, name

    def setup(self, data: DataInfo) -> None:
        """Nothing to learn."""

    def decoder(self, features: FeatureInfo) -> nn.Module:
        return LinearDecoder(features.dim, 1)

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        output = output.reshape(len(label))
        if self.kind == "regression":
            return masked((output - label).abs().nan_to_num(), label)
        target = label.clamp(min=0).to(output)
        return masked(nn.functional.binary_cross_entropy_with_logits(output, target, reduction="none"), label)

    def metrics(self) -> MetricCollection:
        return MetricCollection({})


@cache
def digits() -> Digits:
    data = Digits(batch_size=128)
    data.setup("test")
    return data


def subset(kind: Kind, size: int = 60, missing: bool = False) -> ArrayDataset:
    """The first test digits, labelled by class, by whether the class is above 4, or by the class divided by 9."""
    test = digits().split("test")
    label = test.labels["class"][:size].clone()
    if kind == "binary":
        label = (label > 4).long()
    if kind == "regression":
        label = label / 9
    if missing:
        label[::5] = float("nan") if kind == "regression" else -1
    return ArrayDataset(test.images[test.rows[:size]], {"class": label}, torch.arange(size))


def task(kind: Kind = "multiclass") -> Task:
    made = Classification("class") if kind == "multiclass" else Toy(kind)
    made.setup(digits().info)
    return made


@cache
def trained(kind: Kind = "multiclass") -> Small:
    """A network with 90 % or so, trained on the training images as they are."""
    data = digits().split("train")
    batch = data.__getitems__(list(range(len(data))))
    label = batch.labels["class"]
    label = {"multiclass": label, "binary": (label > 4).long(), "regression": label / 9}[kind]
    goal = task(kind)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Small(10 if kind == "multiclass" else 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        goal.loss(model(batch.images), label).mean().backward()
        optimizer.step()
    return model.eval()

"""Metrics of validation and test: NaN and infinite outputs are wrong and counted; no image gives no score."""

import logging
import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassAccuracy

from gat_lightning.batch import Batch
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.methods import Madry
from gat_lightning.randomness import Shard
from gat_lightning.tasks import BinaryClassification, Classification, Regression, Rotation
from gat_lightning.tasks.autoencoder import Autoencoder
from support.trainers import quiet_trainer
from support.training_steps import classifier, toy_batch, toy_module

BAD = [math.nan, math.inf, -math.inf]
INFO = DataInfo(
    "toy", (1, 4, 4), (0.5,), (0.5,),
    {"class": LabelInfo(("a", "b", "c")), "edema": LabelInfo(("no", "yes"), "binary", (5, 5)),
     "age": LabelInfo((), "regression", scale=100)},
)  # fmt: skip


def metrics_of(task):
    task.setup(INFO)
    return task.metrics()


@pytest.mark.parametrize("bad", BAD)
def test_accuracy_counts_them_as_wrong(bad):
    """The bad logit stands where argmax or the sign would make it right."""
    metrics = metrics_of(Classification("class"))
    metrics.update(torch.tensor([[bad, 0.0, 0], [0, bad, 0], [0, 1, 0]]), torch.tensor([0, 1, 1]))
    assert float(metrics.compute()["accuracy"]) == pytest.approx(1 / 3)
    metrics = metrics_of(BinaryClassification("edema"))
    metrics.update(torch.tensor([[bad], [bad], [2.0]]), torch.tensor([0, 1, 1]))
    assert float(metrics.compute()["accuracy"]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("bad", BAD)
def test_every_other_metric_is_undefined(bad):
    metrics = metrics_of(BinaryClassification("edema"))
    metrics.update(torch.tensor([[bad], [-1.0], [2.0]]), torch.tensor([1, 0, 1]))
    assert math.isnan(metrics.compute()["auroc"])
    metrics = metrics_of(Regression("age"))
    metrics.update(torch.tensor([[bad], [0.5]]), torch.tensor([0.4, 0.5]))
    assert math.isnan(metrics.compute()["mae"])
    metrics = metrics_of(Autoencoder())
    output, label = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4)
    output[1, 0, 2, 3] = bad
    metrics.update(output, label)
    assert all(math.isnan(value) for value in metrics.compute().values())


@pytest.mark.parametrize(
    ("task", "output", "label"),
    [
        (Classification("class"), torch.zeros(2, 3), torch.full((2,), -1)),
        (BinaryClassification("edema"), torch.zeros(2, 1), torch.full((2,), -1)),
        (Regression("age"), torch.zeros(2, 1), torch.full((2,), math.nan)),
        (Autoencoder(), torch.zeros(2, 1, 4, 4), torch.full((2, 1, 4, 4), math.nan)),
        (Rotation(), torch.zeros(2, 4), torch.full((2,), -1)),
    ],
)
def test_metrics_of_no_labelled_image_are_undefined(task, output, label):
    metrics = metrics_of(task)
    metrics.update(output, label)
    assert all(math.isnan(value) for value in metrics.compute().values())


def test_accuracy_of_finite_outputs_is_torchmetrics():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = metrics_of(Classification("class")), MulticlassAccuracy(3, average="micro", ignore_index=-1)
    for size in (7, 1, 50, 3):
        output = torch.randn(size, 3, generator=generator)
        label = torch.randint(-1, 3, (size,), generator=generator)
        ours.update(output, label)
        theirs.update(output, label)
    assert ours.compute()["accuracy"] == theirs.compute()


class SometimesNaN(nn.Module):
    """Spoils images whose first pixel is above 0.5, once it is armed."""

    armed = False

    def forward(self, images):
        return torch.where((images[:, :1, :1, :1] > 0.5) & self.armed, math.nan, images)


def spoilt_module():
    module = toy_module(Madry(), "off", None, True, net=nn.Sequential(SometimesNaN(), *classifier()))
    for part in module.modules():
        if isinstance(part, SometimesNaN):
            part.armed = True
    return module


def one_batch():
    images = toy_batch(8).images
    images[:, 0, 0, 0] = torch.tensor([0.9] * 3 + [0.1] * 5)
    labels = {"class": torch.zeros(8, dtype=torch.long), "macro": torch.zeros(8, dtype=torch.long)}
    return Batch(images, labels, torch.arange(8), Shard.whole(8))


def test_validation_warns_once_of_each_view_and_counts(caplog):
    module, trainer = spoilt_module(), quiet_trainer(inference_mode=False)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            scores = trainer.validate(module, DataLoader([one_batch()], batch_size=None), verbose=False)[0]
    assert scores["val/clean/accuracy"] <= 5 / 8
    assert scores["val/pgd/accuracy"] <= 5 / 8
    said = [record.message for record in caplog.records if "NaN or infinite" in record.message]
    assert [message.split()[0] for message in said] == ["val/clean", "val/pgd"]
    assert "3 of 8 outputs are NaN or infinite" in said[0]
    assert [module.checks[view][:2] for view in ("clean", "pgd")] == [(8, 3), (8, 3)]

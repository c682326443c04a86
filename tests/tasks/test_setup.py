"""A task that has not been told of the data is refused where it is used, with what to write instead."""

import pytest
import torch
from torch import nn

from gat_lightning.batch import Batch
from gat_lightning.curvature import Curvature
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.models import FeatureInfo, LinearDecoder, MultiTaskModel, attach_tasks
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import BinaryClassification, Classification, Jigsaw, Macro, Regression, Rotation, Task
from gat_lightning.tasks.views import views_of
from gat_lightning.training.passes import Passes

IMAGE = (1, 8, 8)
INFO = DataInfo(
    "toy",
    IMAGE,
    (0.5,),
    (0.5,),
    {
        "class": LabelInfo(("a", "b")),
        "macro": LabelInfo(("a", "b", "c")),
        "round": LabelInfo(("no", "yes"), "binary", (30, 10)),
        "age": LabelInfo((), "regression", scale=100.0),
    },
)
INSTEAD = r"The task '{}' has not been set up: call task.setup\(data.info\) before .*attach_tasks\(model, tasks, image="


class Own(Task):
    """Somebody's task, whose ``setup`` does not call the base class's."""

    name, kind = "own", "multiclass"

    def setup(self, data):
        pass

    def decoder(self, features: FeatureInfo):
        return LinearDecoder(features.dim, 2)

    def loss(self, output, label):
        return output.sum(1)

    def metrics(self):
        raise NotImplementedError


MAKE = [
    Rotation, lambda: Jigsaw(permutations=5), Macro, lambda: Regression("age"), lambda: Classification("class"),
    lambda: BinaryClassification("round", "balanced"), Own,
]  # fmt: skip


def classifier():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, 2))


def views(task):
    labels = {"class": torch.tensor([0, 1]), "macro": torch.tensor([0, 2]), "own": torch.tensor([0, 1])}
    labels |= {"round": torch.tensor([0, 1]), "age": torch.tensor([0.3, 0.4])}
    batch = Batch(torch.rand(2, *IMAGE), labels, torch.arange(2), Shard.whole(2))
    return views_of(batch, [task], lambda name: BatchGenerator(Shard.whole(2), 0, name), separate=False)


@pytest.mark.parametrize("make", MAKE)
def test_a_task_that_was_not_set_up(make):
    task, model = make(), MultiTaskModel(classifier(), "target", IMAGE)
    message = INSTEAD.format(task.name)
    for use in (
        lambda: MultiTaskModel(classifier(), "target", IMAGE, [task]),
        lambda: model.attach(task),
        lambda: views(task),
        lambda: task.prepare(torch.rand(2, *IMAGE), {}, BatchGenerator(Shard.whole(2), 0, task.name)),
        lambda: Passes(model, [task], Curvature("off")),
    ):
        with pytest.raises(ValueError, match=message):
            use()
    task.setup(INFO)
    model.attach(task)
    assert views(task).labels[task.name].shape == (2,)


@pytest.mark.parametrize("make", MAKE)
def test_attach_tasks_sets_it_up(make):
    task = make()
    attach_tasks(classifier(), [task], image=IMAGE, target="target", labels=INFO.labels)
    assert task.is_set_up
    assert not make().is_set_up

"""What tasks say that they read of the data's labels is what they look up."""

import pytest
import torch

from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import HOG, Autoencoder, BinaryClassification, Classification, Depth, Jigsaw, Macro, Rotation
from gat_lightning.tasks.base import labels_read
from gat_lightning.tasks.regression import Regression

LABELS = {
    "class": LabelInfo(("a", "b")), "macro": LabelInfo(("x", "y")), "edema": LabelInfo(("no", "yes"), kind="binary"),
    "age": LabelInfo((), kind="regression"), "depth": LabelInfo((), kind="dense"),
}  # fmt: skip
INFO = DataInfo("toy", (1, 16, 16), (0.5,), (0.5,), LABELS)
TASKS = [Classification("class"), Macro(), BinaryClassification("edema"), Regression("age"), Rotation(), Jigsaw(),
         Autoencoder(), HOG(), Depth(), Depth(teacher=torch.nn.Conv2d(1, 1, 1))]  # fmt: skip


class Looked(dict):
    """Labels that keep the names that were looked up."""

    def __init__(self, labels):
        super().__init__(labels)
        self.names = set()

    def __getitem__(self, name):
        self.names.add(name)
        return super().__getitem__(name)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_reads_what_it_says(task):
    task.setup(INFO)
    size = 3
    classes = {name: torch.zeros(size, dtype=torch.long) for name in LABELS}
    labels = Looked({**classes, "depth": torch.rand(size, 1, 16, 16)})
    task.label(torch.rand(size, 1, 16, 16), labels, BatchGenerator(Shard.whole(size), 0))
    assert labels.names == set(task.labels_read)


def test_together_they_read_what_any_of_them_does():
    assert labels_read([Classification("class"), Rotation(), Macro()]) == {"class", "macro"}
    assert labels_read([Rotation()]) == set()


class OwnLabel(Rotation):
    def label(self, images, labels, generator):
        return labels["turned"]


class OwnMap(Autoencoder):
    def wanted(self, images, labels):
        return labels["mask"]


class Says(OwnMap):
    labels_read = ("mask",)

    def wanted(self, images, labels):
        return labels["mask"]


def test_of_labels_that_a_subclass_makes_itself_it_is_unknown_unless_it_says():
    assert labels_read([Classification("class"), OwnLabel()]) is None
    assert labels_read([Classification("class"), OwnMap()]) is None
    assert labels_read([Classification("class"), Says()]) == {"class", "mask"}

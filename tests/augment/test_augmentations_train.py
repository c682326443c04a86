"""Every augmentation with every task of Table 1, in real runs: they train, and the labels are those of the images."""

import math

import pytest
import torch

from gat_lightning.data import Digits
from gat_lightning.tasks import Jigsaw
from gat_lightning.training import module as steps
from support.training_runs import rows, trained

LOOP = (0, 6, 8, 9)
SETTINGS = ["method=madry", "weighting=mgda", "trainer.max_epochs=1", "data.fraction=0.1"]


@pytest.fixture
def seen(monkeypatch):
    """Each step's batch after the augmentation, and what the tasks made of it."""
    prepare, pairs = steps.prepare_views, []

    def recorded(batch, *others):
        pairs.append((batch, prepare(batch, *others)))
        return pairs[-1][1]

    monkeypatch.setattr(steps, "prepare_views", recorded)
    return pairs


def scrambled(image, order):
    """The pieces of a 4 x 4 puzzle of 8 x 8 pixels, moved one by one."""
    result = torch.empty_like(image)
    for place, piece in enumerate(order.tolist()):
        (row, column), (top, left) = divmod(place, 4), divmod(piece, 4)
        moved = image[:, 2 * top : 2 * top + 2, 2 * left : 2 * left + 2]
        result[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = moved
    return result


def expected_view(task, images, labels):
    if task == "rotation":
        return torch.stack([image.rot90(turns, (1, 2)) for image, turns in zip(images, labels.tolist(), strict=True)])
    orders = Jigsaw().permutations[labels]
    return torch.stack([scrambled(image, order) for image, order in zip(images, orders, strict=True)])


def assert_labels_fit(batch, views, task, classes):
    own = views.labels["class"]
    assert torch.equal(own, classes[batch.index])
    if batch.mixed is not None:
        assert torch.equal(batch.mixed.labels["class"].sort().values, own.sort().values)
        assert 0 <= batch.mixed.share.min() < batch.mixed.share.max() <= 1
    if task == "macro":
        for labels in (views.labels, *([batch.mixed.labels] if batch.mixed else [])):
            assert [label in LOOP for label in labels["class"].tolist()] == (labels["macro"] == 0).tolist()
    if task in ("rotation", "jigsaw"):
        assert len(views.labels[task].unique()) > 2
        assert torch.equal(views.of(task, views.images), expected_view(task, batch.images, views.labels[task]))
        assert batch.mixed is None or task not in batch.mixed.labels
    assert torch.equal(views.of("class", views.images), views.images)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("views", ["shared", "separate"])
@pytest.mark.parametrize("task", ["none", "macro", "rotation", "jigsaw"])
@pytest.mark.parametrize("augment", ["none", "standard", "affine", "cutmix", "mixup", "maxup"])
def test_it_trains_and_labels_are_those_of_the_images(tmp_path, seen, augment, task, views):
    result = trained(tmp_path, *SETTINGS, f"augment={augment}", f"task={task}", f"data.views={views}")
    assert result["status"] == "finished"
    names = [f"objective/{name}/clean+adv" for name in ("class", task) if name != "none"]
    logged = [row for row in rows(tmp_path) if row[names[0]]]
    assert len(logged) == len(seen) > 1
    assert all(math.isfinite(float(row[name])) for row in logged for name in names)
    data = Digits(fraction=0.1)
    data.setup("fit")
    for batch, made in seen:
        assert_labels_fit(batch, made, task, data.split("train").labels["class"])
        assert 0 <= made.images.min() <= made.images.max() <= 1

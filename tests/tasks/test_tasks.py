from itertools import combinations

import pytest
import torch
from torch.autograd import gradcheck

from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.models.features import FeatureInfo, Features
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import Classification, Jigsaw, Macro, Rotation
from gat_lightning.tasks.jigsaw import distant_permutations

DIGITS = tuple("0123456789")


def info(height=8, width=8, **labels):
    return DataInfo("toy", (1, height, width), (0.5,), (0.5,), {"class": LabelInfo(DIGITS)} | labels)


def prepared(task, images, key=0):
    task.setup(info(*images.shape[2:]))
    labels = {"class": torch.zeros(len(images), dtype=torch.long)}
    return task.prepare(images, labels, BatchGenerator(Shard.whole(len(images)), key))


def rotated_one_by_one(images, label):
    return torch.stack([torch.rot90(image, int(k), (1, 2)) for image, k in zip(images, label, strict=True)])


def scrambled_one_by_one(images, label, permutations, grid=4):
    result = torch.empty_like(images)
    rows, columns = images.shape[2] // grid, images.shape[3] // grid
    for image, scrambled, k in zip(images, result, label, strict=True):
        for place, piece in enumerate(permutations[int(k)].tolist()):
            to = (place // grid * rows, place % grid * columns)
            source = (piece // grid * rows, piece % grid * columns)
            scrambled[:, to[0] : to[0] + rows, to[1] : to[1] + columns] = image[
                :, source[0] : source[0] + rows, source[1] : source[1] + columns
            ]
    return result


@pytest.mark.parametrize("shape", [(64, 1, 8, 8), (33, 3, 32, 32), (5, 2, 12, 12)])
def test_rotation_equals_a_loop_over_images(shape):
    images = torch.rand(shape)
    turned, labels = prepared(Rotation(), images)
    assert torch.equal(turned, rotated_one_by_one(images, labels["rotation"]))
    assert set(labels) == {"class", "rotation"}


@pytest.mark.parametrize("shape", [(64, 1, 8, 8), (33, 3, 32, 32), (9, 1, 8, 16)])
def test_jigsaw_equals_a_loop_over_images(shape):
    images = torch.rand(shape)
    task = Jigsaw()
    scrambled, labels = prepared(task, images)
    assert torch.equal(scrambled, scrambled_one_by_one(images, labels["jigsaw"], task.permutations))
    identity = labels["jigsaw"] == 0
    assert torch.equal(scrambled[identity], images[identity])


@pytest.mark.parametrize("task", [Rotation(), Jigsaw()])
def test_every_label_is_drawn_about_equally_often_and_follows_from_the_key(task):
    images = torch.rand(4000, 1, 4, 4)
    _, labels = prepared(task, images)
    counts = torch.bincount(labels[task.name], minlength=task.num_classes)
    assert len(counts) == task.num_classes
    assert (counts - 4000 / task.num_classes).abs().max() < 5 * (4000 / task.num_classes) ** 0.5
    assert torch.equal(prepared(task, images)[1][task.name], labels[task.name])
    assert not torch.equal(prepared(task, images, key=1)[1][task.name], labels[task.name])


@pytest.mark.parametrize("task", [Rotation(), Jigsaw()])
def test_transforms_are_differentiable_twice(task):
    task.setup(info(4, 4))
    images = torch.rand(3, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    label = torch.tensor([0, 1, 3])
    assert gradcheck(lambda x: task.transform(x, label) ** 3, images)
    assert torch.autograd.gradgradcheck(lambda x: task.transform(x, label) ** 3, images)


@pytest.mark.parametrize(("pieces", "count"), [(16, 10), (16, 16), (9, 9), (9, 30), (16, 40), (4, 24)])
def test_permutations_are_distinct_distant_and_start_with_the_identity(pieces, count):
    permutations = distant_permutations(pieces, count, seed=0)
    assert permutations.shape == (count, pieces)
    assert torch.equal(permutations[0], torch.arange(pieces))
    assert torch.equal(permutations.sort(1).values, torch.arange(pieces).expand(count, -1))
    closest = min(int((a != b).sum()) for a, b in combinations(permutations, 2))
    assert closest == pieces if count <= pieces else closest >= min(2, pieces)
    assert torch.equal(distant_permutations(pieces, count, seed=0), permutations)
    assert not torch.equal(distant_permutations(pieces, count, seed=1), permutations)


def test_missing_labels_have_no_loss_and_no_gradient():
    task = Classification("class")
    task.setup(info())
    output = torch.randn(6, 10, requires_grad=True)
    label = torch.tensor([3, -1, 0, -1, 9, 2])
    loss = task.loss(output, label)
    loss.sum().backward()
    missing = label == -1
    assert (loss[missing] == 0).all()
    assert (output.grad[missing] == 0).all()
    expected = torch.nn.functional.cross_entropy(output[~missing], label[~missing], reduction="none")
    assert torch.allclose(loss[~missing], expected)
    metrics = task.metrics()
    metrics.update(output, torch.where(missing, -1, output.argmax(1)))
    assert metrics.compute()["accuracy"] == 1


def test_decoders_have_one_output_per_class():
    macro = Macro()
    macro.setup(info(macro=LabelInfo(("loop", "none"))))
    features = FeatureInfo(5, (), (1, 8, 8))
    for task, outputs in ((macro, 2), (Rotation(), 4), (Jigsaw(permutations=7), 7)):
        if task is not macro:
            task.setup(info())
        assert task.decoder(features)(Features(torch.rand(3, 5))).shape == (3, outputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Macro().setup(info()), r"no label 'macro'; it has: class\. Define macro classes"),
        (lambda: Classification("clas").setup(info()), r"no label 'clas'; it has: class"),
        (lambda: Rotation().setup(info(8, 12)), r"square images.*8 x 12"),
        (lambda: Jigsaw().setup(info(10, 8)), r"divisible by 4"),
        (lambda: Jigsaw(grid=1), r"grid=1: it must be a whole number of at least 2"),
        (lambda: Jigsaw(permutations=1), r"permutations=1: it must be a whole number of at least 2"),
        (lambda: Jigsaw(grid=2, permutations=25), r"permutations=25.* at most 24"),
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_jigsaw_takes_a_checkpoints_permutations_back():
    theirs, ours = Jigsaw(seed=1), Jigsaw(seed=0)
    images, label = torch.rand(10, 1, 8, 8), torch.arange(10)
    for task in (theirs, ours):
        task.setup(info())
    assert not torch.equal(ours.transform(images, label), theirs.transform(images, label))
    ours.load_state(theirs.state())
    assert torch.equal(ours.transform(images, label), theirs.transform(images, label))
    with pytest.raises(ValueError, match=r"The checkpoint's jigsaw has \[10, 16\].*this run's has \[7, 16\]"):
        Jigsaw(permutations=7).load_state(theirs.state())

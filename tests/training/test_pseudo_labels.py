"""Pseudo-labels in a batch and in a step, against what is written out here."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from gat_lightning.attacks import losses
from gat_lightning.augment import Identity
from gat_lightning.augment.mixup import Mixup
from gat_lightning.batch import Batch
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.methods import Adversarial, Standard
from gat_lightning.models import MultiTaskModel
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import BinaryClassification, Classification
from gat_lightning.tasks.views import Views, joint_counts
from gat_lightning.training.averaging import ExponentialAverage, WeightAverage
from gat_lightning.training.pseudo_labels import AverageLabels, Labelling, TargetLabels
from gat_lightning.weighting import Equal
from support.training_steps import INFO, gradients_after, toy_batch, toy_module

PIXELS = DataInfo("x", (1, 4, 4), (0.5,), (0.5,), {"mass": LabelInfo(("no", "yes"), "binary"), **INFO.labels})


def made(task):
    task.setup(PIXELS)
    return task


CLASS, MASS = made(Classification("class")), made(BinaryClassification("mass"))


def batch_with(name, label):
    size = len(label)
    return Batch(torch.zeros(size, 1, 4, 4), {name: label}, torch.arange(size), Shard.whole(size))


class Given(TargetLabels):
    """Known labels."""

    def __init__(self, labelling, given, target=CLASS):
        super().__init__(target, labelling)
        self.given = given

    def labels(self, batch):
        return self.given[batch.index]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("target", [CLASS, MASS], ids=["class", "binary"])
def test_labels_are_filled_where_they_are_missing_and_the_teacher_is_sure(seed, soft, target):
    generator = torch.Generator().manual_seed(seed)
    classes = 4 if target is CLASS else 2
    own = torch.randint(-1, classes, (40,), generator=generator)
    probabilities = torch.rand(40, classes, generator=generator).pow(3)
    probabilities = probabilities / probabilities.sum(1, keepdim=True)
    probabilities[0] = torch.nan
    labelling = Labelling(confidence=0.6, soft=soft, weight=0.25)
    before = own.clone()
    batch = labelling.fill(batch_with(target.name, own), target, labelling.labels(probabilities))
    found, weights = batch.labels[target.name], batch.weights[target.name]
    assert torch.equal(own, before)
    for n in range(40):
        row, known = probabilities[n], int(own[n]) != -1
        assert float(weights[n]) == (1 if known else 0.25)
        assert bool(batch.unlabelled[n]) != known
        sure = known or (n > 0 and float(row.max()) >= 0.6)
        if not soft:
            assert int(found[n]) == (int(own[n]) if known else int(row.argmax()) if sure else -1)
            continue
        expected = torch.eye(classes)[own[n]] if known else row if sure else torch.full((classes,), torch.nan)
        expected = expected if target is CLASS else expected[1]
        torch.testing.assert_close(found[n], expected, rtol=0, atol=0, equal_nan=True)


def test_weight_1_leaves_no_weights():
    labelling = Labelling()
    batch = labelling.fill(batch_with("class", torch.tensor([-1, 2])), CLASS, torch.tensor([3, 0]))
    assert batch.labels["class"].tolist() == [3, 2]
    assert batch.weights == {}


@pytest.mark.parametrize("seed", range(5))
def test_losses_of_probabilities(seed):
    generator = torch.Generator().manual_seed(seed)
    output = torch.randn(6, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    label = torch.rand(6, 4, dtype=torch.float64, generator=generator).softmax(1)
    wanted = cross_entropy(output, label, reduction="none", label_smoothing=0.2).detach()
    plain = cross_entropy(output, label, reduction="none").detach()
    label[2] = wanted[2] = plain[2] = 0
    label[2] = torch.nan
    smooth = made(Classification("class", label_smoothing=0.2))
    for loss, expected in ((smooth.loss(output, label), wanted), (smooth.attack_loss(output, label), plain)):
        torch.testing.assert_close(loss, expected)
        (gradient,) = torch.autograd.grad(loss.sum(), output)
        assert gradient.isfinite().all()
        assert not gradient[2].any()
        assert gradient[3].any()


@pytest.mark.parametrize("seed", range(5))
def test_losses_of_a_probability(seed):
    generator = torch.Generator().manual_seed(seed)
    output = torch.randn(6, 1, dtype=torch.float64, generator=generator, requires_grad=True)
    label = torch.rand(6, dtype=torch.float64, generator=generator)
    expected = binary_cross_entropy_with_logits(output[:, 0], label, reduction="none").detach()
    label[2], expected[2] = torch.nan, 0
    for loss in (MASS.loss(output, label), MASS.attack_loss(output, label)):
        torch.testing.assert_close(loss, expected)
        (gradient,) = torch.autograd.grad(loss.sum(), output)
        assert gradient.isfinite().all()
        assert not gradient[2].any()


@pytest.mark.parametrize("seed", range(5))
def test_counts_by_weights(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = {name: torch.randint(-1, 3, (12,), generator=generator) for name in ("a", "b")}
    labels["c"] = torch.full((12,), -1)
    weights = {"a": torch.rand(12, generator=generator) / 100}
    counts = joint_counts(labels, ["a", "b", "c"], torch.float64, weights)
    has = {name: [each != -1 for each in label.tolist()] for name, label in labels.items()}
    of_a = [float(weight) * valid for weight, valid in zip(weights["a"], has["a"], strict=True)]
    expected = {"a": sum(of_a), "b": sum(has["b"]), "ab": sum(w * v for w, v in zip(of_a, has["b"], strict=True))}
    for names, value in expected.items():
        assert float(counts[frozenset(names)]) == pytest.approx(value or 1)
    assert {float(counts[frozenset(names)]) for names in ("c", "ac", "bc")} == {1.0}


def partly_labelled():
    whole = toy_batch()
    lacks = torch.tensor([0, 1, 0, 1, 1, 0, 0]).bool()
    own = torch.where(lacks, -1, whole.labels["class"])
    return replace(whole, labels={**whole.labels, "class": own}), whole.labels["class"], lacks


@pytest.mark.parametrize("method", [Adversarial, Standard])
@pytest.mark.parametrize("micro_batch", [None, 3])
def test_right_pseudo_labels_train_like_labels(method, micro_batch):
    batch, right, _ = partly_labelled()
    module = toy_module(method(), "off", {}, False, Equal(), micro_batch=micro_batch)
    filled = toy_module(method(), "off", {}, False, Equal(), micro_batch=micro_batch)
    filled.pseudo_labels = Given(Labelling(), right)
    found, expected = gradients_after(filled, batch), gradients_after(module)
    for name, gradient in expected.items():
        assert torch.equal(found[name], gradient), name


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("micro_batch", [None, 3])
def test_weighted_mean_of_a_step(soft, micro_batch):
    batch, right, lacks = partly_labelled()
    probabilities = torch.rand(len(right), 4, generator=torch.Generator().manual_seed(2)).softmax(1)
    labelling = Labelling(soft=soft, weight=0.3)
    module = toy_module(Standard(), "off", {}, False, Equal(), micro_batch=micro_batch)
    module.pseudo_labels = Given(labelling, labelling.labels(probabilities))
    model = copy.deepcopy(module.model)
    label = torch.eye(4)[right]
    label[lacks] = probabilities[lacks] if soft else torch.eye(4)[probabilities.argmax(1)][lacks]
    weight = torch.where(lacks, 0.3, 1.0)
    found = gradients_after(module, batch)
    images = turned(batch)
    loss = cross_entropy(model(images, ["class"])["class"], label.double(), reduction="none")
    ((weight * loss).sum() / weight.sum()).backward()
    of_class = {name: parameter for name, parameter in model.named_parameters() if "decoders.class" in name}
    assert len(of_class) == 2
    for name, parameter in of_class.items():
        torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-7)


def turned(batch):
    """The images as rotation shows them in the first step."""
    turns = BatchGenerator(batch.shard, 3, 0, 0, "rotation").integers(4)
    return torch.stack([torch.rot90(image, int(turn), (1, 2)) for image, turn in zip(batch.images, turns, strict=True)])


def test_mixtures_have_mixed_weights_and_soft_labels():
    label = torch.eye(4)[torch.tensor([0, 1, 2, 3])]
    label[3] = torch.nan
    images = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    weight = torch.tensor([1.0, 0.5, 0.25, 1.0])
    lacking = torch.tensor([False, True, False, False])
    given = {"unlabelled": lacking, "weights": {"class": weight}}
    batch = Batch(images, {"class": label}, torch.arange(4), Shard.whole(4), **given)
    mixed = Mixup(Identity()).at_step(batch, lambda purpose: BatchGenerator(batch.shard, purpose), None)
    partner = BatchGenerator(batch.shard, "mixing").permutation()
    share = mixed.mixed.share
    torch.testing.assert_close(mixed.weights["class"], share * weight + (1 - share) * weight[partner])
    views = Views(mixed.images, mixed.labels, {}, mixed=mixed.mixed, weights=mixed.weights)
    losses = torch.tensor([3.0, 5.0, 7.0, 11.0])  # as many as there are classes: a loss by the label alone
    found = mixed.weights["class"] * views.loss("class", lambda label: label.nan_to_num() @ losses)
    own, other = (each.nan_to_num() @ losses for each in (mixed.labels["class"], mixed.mixed.labels["class"]))
    torch.testing.assert_close(found, share * weight * own + (1 - share) * weight[partner] * other)
    assert torch.equal(mixed.unlabelled, lacking | lacking[partner])
    both = ~(label.isnan().any(1) | label[partner].isnan().any(1))
    assert int(both.sum()) >= 2
    assert torch.equal(mixed.labels["class"][both], label[both])
    assert torch.equal(mixed.mixed.labels["class"][both], label[partner][both])


def test_labels_of_the_average_leave_no_trace():
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 4))
    model = MultiTaskModel(net, "class", (1, 4, 4))
    average = WeightAverage(model, ExponentialAverage())
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    batch = batch_with("class", torch.tensor([-1, 2, -1, -1, 0]))
    batch.images.uniform_(generator=torch.Generator().manual_seed(1))
    model.train()(batch.images)  # moves the statistics
    before = [value.clone() for value in (*model.state_dict().values(), *average.model.state_dict().values())]
    drawn = torch.get_rng_state()
    labels = AverageLabels(CLASS, Labelling(), model, micro_batch=2)
    labels.averages["ema"] = average.model
    filled = labels(batch).labels["class"]
    assert torch.equal(torch.get_rng_state(), drawn)
    after = [*model.state_dict().values(), *average.model.state_dict().values()]
    assert all(torch.equal(first, second) for first, second in zip(before, after, strict=True))
    average.model.load_state_dict({**average.model.state_dict(), **dict(model.named_buffers())})
    expected = average.model(batch.images)["class"].argmax(1)
    assert filled.tolist() == [expected[0], 2, expected[2], expected[3], 0]


def test_attack_loss_of_hard_labels_is_unchanged():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([0, 1, 2, 3, 0])
    torch.testing.assert_close(losses.cross_entropy(logits, torch.eye(4)[label]), losses.cross_entropy(logits, label))

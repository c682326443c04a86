"""Losses that attacks increase: the usual values, with float32 gradients that keep their direction at any margin."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from gat_lightning.attacks import PGD, BinaryProblem, ClassifierProblem
from gat_lightning.batch import Mixed
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.methods import Trades
from gat_lightning.models import Features
from gat_lightning.tasks import BinaryClassification, Classification, TaskProblem, Views

MARGINS = torch.arange(1, 81, dtype=torch.float64)
SHARE = 0.7
POS_WEIGHT = 3.0
SMOOTHING = 0.1
USUAL = partial(nn.functional.cross_entropy, reduction="none")


class Outputs(nn.Module):
    """A multi-task model whose images ``[B, K, 1, 1]`` are the outputs of every task."""

    def encode(self, images: Tensor) -> Features:
        return Features(images.flatten(1))

    def decode(self, features: Features, names: list[str]) -> dict[str, Tensor]:
        return dict.fromkeys(names, features.pooled)


def task_of(kind: str, **settings: float) -> Classification | BinaryClassification:
    task = Classification("target") if kind == "multiclass" else BinaryClassification("target", **settings)
    classes = 10 if kind == "multiclass" else 2
    label = LabelInfo(tuple(map(str, range(classes))), kind)
    task.setup(DataInfo("any", (1, 1, 1), (0.0,), (1.0,), {"target": label}))
    return task


def views_of(images: Tensor, labels: Tensor, other: Tensor | None = None) -> Views:
    share = torch.full((len(images),), SHARE, dtype=images.dtype)
    return Views(images, {"target": labels}, mixed=None if other is None else Mixed({"target": other}, share))


def confident(classes: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Logits ``[80, K, 1, 1]``, of which that of the label leads by 1 to 80, and the labels."""
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(len(MARGINS), classes, generator=generator, dtype=torch.float64)
    labels = torch.arange(len(MARGINS)) % classes
    own = labels[:, None]
    others = logits.scatter(1, own, -torch.inf).amax(1)
    logits = logits.scatter(1, own, (others + MARGINS)[:, None])
    return logits.float().to(dtype)[:, :, None, None], labels  # the same numbers in both types


def one_logit(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    labels = torch.arange(len(MARGINS)) % 2
    return (MARGINS * (2 * labels - 1)).to(dtype)[:, None, None, None], labels


def classifier(dtype: torch.dtype, classes: int = 10):
    images, labels = confident(classes, dtype)
    logits = images.flatten(1)
    return ClassifierProblem(nn.Flatten(), labels).loss, images, USUAL(logits, labels)


def binary(dtype: torch.dtype):
    images, labels = one_logit(dtype)
    usual = nn.functional.binary_cross_entropy_with_logits(images.flatten(), labels.to(dtype), reduction="none")
    return BinaryProblem(nn.Flatten(), labels).loss, images, usual


def weighted(dtype: torch.dtype):
    images, labels = one_logit(dtype)
    task = task_of("binary", pos_weight=POS_WEIGHT)
    loss = TaskProblem(Outputs(), views_of(images, labels), [task]).loss
    weight = torch.tensor(POS_WEIGHT, dtype=dtype)
    entropy = nn.functional.binary_cross_entropy_with_logits
    return loss, images, entropy(images.flatten(), labels.to(dtype), reduction="none", pos_weight=weight)


def missing(dtype: torch.dtype):
    images, labels = confident(10, dtype)
    labels[::3] = -1
    loss = TaskProblem(Outputs(), views_of(images, labels), [task_of("multiclass")]).loss
    return loss, images, USUAL(images.flatten(1), labels, ignore_index=-1)


def mixed(dtype: torch.dtype):
    images, labels = confident(10, dtype)
    other = (labels + 3) % 10
    loss = TaskProblem(Outputs(), views_of(images, labels, other), [task_of("multiclass")]).loss
    logits = images.flatten(1)
    return loss, images, SHARE * USUAL(logits, labels) + (1 - SHARE) * USUAL(logits, other)


def mixed_with_itself(dtype: torch.dtype):
    images, labels = confident(10, dtype)
    loss = TaskProblem(Outputs(), views_of(images, labels, labels), [task_of("multiclass")]).loss
    return loss, images, USUAL(images.flatten(1), labels)


def trades(dtype: torch.dtype):
    images, labels = confident(10, dtype)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved = (images.double() + 0.01 * noise).float().to(dtype)
    task = task_of("multiclass")
    problem = Trades(eps=0.1).problem(Outputs(), views_of(images, labels), [task], [task])
    before, after = images.flatten(1).log_softmax(1), moved.flatten(1).log_softmax(1)
    return problem.loss, moved, (before.exp() * (before - after)).sum(1)


def binary_trades(dtype: torch.dtype):
    images, labels = one_logit(dtype)
    moved = (images.double() * 1.01).float().to(dtype)
    task = task_of("binary")
    problem = Trades(eps=0.1).problem(Outputs(), views_of(images, labels), [task], [task])
    before, after = (nn.functional.logsigmoid(torch.cat([-x, x], 1)) for x in (images.flatten(1), moved.flatten(1)))
    return problem.loss, moved, (before.exp() * (before - after)).sum(1)


CASES = [
    classifier,
    partial(classifier, classes=2),
    binary,
    weighted,
    missing,
    mixed,
    mixed_with_itself,
    trades,
    binary_trades,
]


def name_of(case) -> str:
    return case.__name__ if hasattr(case, "__name__") else "two_classes"


def gradient(loss, images: Tensor) -> Tensor:
    images = images.clone().requires_grad_()
    return torch.autograd.grad(loss(images).sum(), images)[0].flatten(1).double()


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_float32_gradients_have_the_direction_of_float64_at_margins_of_1_to_80(case) -> None:
    (loss, images, _), (reference, exact, _) = case(torch.float32), case(torch.float64)
    found, right = gradient(loss, images), gradient(reference, exact)
    has_gradient = right.abs().amax(1) > 0
    assert torch.equal(found.abs().amax(1) > 0, has_gradient)
    scaled = [rows[has_gradient] / rows[has_gradient].abs().amax(1, keepdim=True) for rows in (found, right)]
    assert nn.functional.cosine_similarity(*scaled).min() > 0.9999


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_values_in_float64_are_the_usual_ones(case) -> None:
    loss, images, usual = case(torch.float64)
    error = (loss(images) - usual).abs()
    assert (error <= 1e-15 * images.flatten(1).abs().amax(1).clamp(min=1)).all()


def test_soft_labels_are_the_usual_ones_and_keep_their_direction() -> None:
    from gat_lightning.attacks import losses

    images, labels = confident(10, torch.float64)
    logits = images.flatten(1)
    smoothed = nn.functional.one_hot(labels, 10).double() * (1 - SMOOTHING) + SMOOTHING / 10
    usual = nn.functional.cross_entropy(logits, labels, reduction="none", label_smoothing=SMOOTHING)
    assert (losses.cross_entropy(logits, smoothed) - usual).abs().max() <= 1e-15 * logits.abs().max()
    for target in (smoothed, nn.functional.one_hot(labels, 10).double()):
        found = gradient(lambda x, t=target: losses.cross_entropy(x.flatten(1), t.float()), images.float())
        right = gradient(lambda x, t=target: losses.cross_entropy(x.flatten(1), t), images)
        cosine = nn.functional.cosine_similarity(*(g / g.abs().amax(1, keepdim=True) for g in (found, right)))
        assert cosine.min() > 0.9999


def test_values_far_from_the_reference_stay_finite() -> None:
    task = task_of("multiclass")
    images = torch.zeros(2, 10, 1, 1)
    images[:, 0] = 150.0
    flipped = images.roll(1, 1)
    loss = Trades(eps=0.1).problem(Outputs(), views_of(images, torch.zeros(2).long()), [task], [task]).loss
    with torch.no_grad():
        loss(images)
    assert torch.allclose(loss(flipped), torch.tensor(150.0))
    assert torch.isfinite(gradient(loss, flipped)).all()


@pytest.mark.parametrize("sign", [-1, 1])
def test_pgd_fools_a_confident_binary_classifier_whose_usual_gradient_is_zero(sign: int) -> None:
    """The logit is 40 on every image, and 10 per pixel lower or higher at most 0.1 away: -8 is in reach."""
    images = torch.full((4, 3, 4, 4), 0.5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    nn.init.constant_(model[1].weight, 10.0)
    nn.init.constant_(model[1].bias, sign * 40.0 - 240.0)
    labels = torch.full((4,), int(sign > 0))
    adversarial = PGD(eps=0.1, steps=20)(BinaryProblem(model, labels), images)
    assert (sign * model(adversarial) < -7.9).all()


class Custom(Classification):
    """A task of one's own, with another loss."""

    def loss(self, output: Tensor, label: Tensor) -> Tensor:
        return output[:, 0]


def test_a_task_with_a_loss_of_its_own_is_attacked_by_that_loss() -> None:
    images, labels = confident(10, torch.float32)
    problem = TaskProblem(Outputs(), views_of(images, labels), [Custom("target")])
    assert torch.equal(problem.loss(images), images[:, 0, 0, 0])

"""The share of images whose gradient was zero, in evaluations and in the test of a training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gat_lightning.attacks import PGD, Square
from gat_lightning.attacks.apgd import APGDCE, APGDT
from gat_lightning.attacks.autoattack import AutoAttack
from gat_lightning.batch import Batch
from gat_lightning.evaluation.journal import Journal
from gat_lightning.evaluation.robustness import Evaluation, evaluate_robustness
from gat_lightning.evaluation.target import Target
from gat_lightning.models import Features, MultiTaskModel
from gat_lightning.randomness import Shard
from gat_lightning.training.validation import Scoring
from support.trained_digits import digits, subset, task, trained

EPS = 0.1
SIZE = 40


class Rounded(nn.Module):
    """The trained classifier of images with 16 grey levels, as digits have: right as before, without gradients."""

    def forward(self, images: Tensor) -> Tensor:
        return trained()((images * 16).round() / 16 + 0 * images)

    def train(self, mode: bool = True) -> Rounded:
        return self


def evaluation(model: nn.Module, **settings: Journal) -> Evaluation:
    return Evaluation(Target(model, task()), subset("multiclass", SIZE), batch_size=16, **settings)


@pytest.mark.parametrize(
    "attack",
    [PGD(eps=EPS, steps=3), APGDCE(eps=EPS, steps=3), AutoAttack(eps=EPS, steps=2, queries=2, seed=0)],
    ids=lambda attack: attack.name,
)
def test_an_evaluation_says_for_how_many_images_the_gradient_was_zero(attack: PGD) -> None:
    from gat_lightning.evaluation.doubts import zero_gradients

    for model, share in ((Rounded(), 1.0), (trained(), 0.0)):
        predictions = evaluate_robustness(evaluation(model), {"view": attack})
        assert predictions.checks(10)["view"].record()["zero_gradient"] == share
        assert predictions.checks(10)["clean"].record()["zero_gradient"] is None
        doubt = zero_gradients(predictions.checks(10)["view"])
        assert doubt is None if share == 0 else "100.0% of the attacked images" in doubt and "audit=true" in doubt


def test_an_attack_without_gradients_has_no_share() -> None:
    predictions = evaluate_robustness(evaluation(Rounded()), {"view": Square(eps=EPS, queries=2)})
    assert predictions.checks(10)["view"].record()["zero_gradient"] is None


def test_a_resumed_evaluation_has_the_share_of_all_batches(tmp_path: Path) -> None:
    def journal() -> Journal:
        return Journal(tmp_path / "progress", "same")

    first = evaluation(Rounded(), journal=journal())
    first.attacked("view", PGD(eps=EPS, steps=2))
    second = evaluation(Rounded(), journal=journal())
    second.attacked("view", PGD(eps=EPS, steps=2))
    assert second.traces["view"].share_of_zero() == first.traces["view"].share_of_zero() == 1.0


class Scaled(nn.Module):
    """The trained classifier with larger logits, which decides alike."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * trained()(images)


def test_a_confident_classifier_has_gradients_and_no_false_robustness() -> None:
    """PGD finds with logits times 7 what it finds at times 1."""
    attack = PGD(eps=EPS, steps=10)
    plain, scaled = (evaluation(model).attacked("view", attack) for model in (trained(), Scaled(7)))
    assert 0.05 < plain.correct.mean() < 0.9
    assert abs(scaled.correct.mean() - plain.correct.mean()) <= 0.05


def test_margins_beyond_float32_are_counted_and_dlr_does_not_mind_them() -> None:
    """Of 100 and more, which a loss in float32 cannot tell from an infinite margin."""
    found = evaluation(Scaled(15))
    found.attacked("pgd", PGD(eps=EPS, steps=10))
    found.attacked("apgd_t", APGDT(eps=EPS, steps=10))
    assert found.traces["pgd"].share_of_zero() > 0.01
    assert found.traces["apgd_t"].share_of_zero() == 0


class RoundedTask(MultiTaskModel):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.unused = nn.Parameter(torch.zeros(1))

    def encode(self, images: Tensor) -> Features:
        return Features(images)

    def decode(self, features: Features, names: list[str]) -> dict[str, Tensor]:
        return {name: Rounded()(features.pooled) for name in names}


def test_the_test_of_a_training_counts_images_with_a_label() -> None:
    test = digits().split("test")
    scoring = Scoring(RoundedTask().eval(), [task()], {"pgd2": PGD(eps=EPS, steps=2)}, 0, "test")
    for start in (0, 16):
        batch = test.__getitems__(list(range(start, start + 16)))
        batch.labels["class"][3] = -1  # whose loss, and gradient, is zero
        scoring.update(Batch(batch.images, batch.labels, batch.index, Shard.whole(16)), start)
    checks = scoring.checks()
    assert checks["clean"].record()["zero_gradient"] is None
    assert checks["pgd2"].record() == {"images": 30, "non_finite": 0, "zero_gradient": 1.0}


def test_a_missing_label_is_no_zero_gradient() -> None:
    class Plain(RoundedTask):
        def decode(self, features: Features, names: list[str]) -> dict[str, Tensor]:
            return {name: trained()(features.pooled) for name in names}

    batch = digits().split("test").__getitems__(list(range(16)))
    batch.labels["class"][::2] = -1
    scoring = Scoring(Plain().eval(), [task()], {"pgd2": PGD(eps=EPS, steps=2)}, 0, "test")
    scoring.update(Batch(batch.images, batch.labels, batch.index, Shard.whole(16)), 0)
    assert scoring.checks()["pgd2"].zero_gradient == 0.0

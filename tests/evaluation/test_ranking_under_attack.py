"""AUROC under attack: images are ranked without a threshold, so a shift of all logits changes nothing."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from gat_lightning.attacks import PGD, Attack
from gat_lightning.attacks.apgd import APGDCE, APGDT
from gat_lightning.attacks.autoattack import AutoAttack
from gat_lightning.attacks.cw import CW
from gat_lightning.attacks.fab import FAB
from gat_lightning.attacks.square import Square
from gat_lightning.evaluation.outcomes import Outcomes, auroc
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.evaluation.robustness import Evaluation, evaluate_robustness
from gat_lightning.evaluation.target import Target
from support.trained_digits import subset, task, trained

EPS = 0.3
SHIFTS = (-12.0, 0.0, 12.0)
"""Added to all logits: all images are then classified as negative, some each way, or all as positive."""


def shifted(shift: float) -> nn.Module:
    model = copy.deepcopy(trained("binary"))
    with torch.no_grad():
        model[-1].bias += shift
    return model


@cache
def evaluated(shift: float) -> Predictions:
    autoattack = AutoAttack(eps=EPS, steps=10, queries=20, seed=0)
    evaluation = Evaluation(Target(shifted(shift), task("binary")), subset("binary", 40), batch_size=16)
    return evaluate_robustness(evaluation, {"pgd20": PGD(eps=EPS, steps=20), "autoattack": autoattack})


def aurocs(predictions: Predictions) -> dict[str, float]:
    return {view: auroc(predictions.labels, outcomes.score) for view, outcomes in predictions.views.items()}


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_of_the_logits_hides_no_image_from_autoattack(shift: float) -> None:
    found = aurocs(evaluated(shift))
    assert found["clean"] > 0.9
    assert found["pgd20"] == 0
    assert found["autoattack"] == 0
    assert found["worst"] == 0


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_worst_view_is_at_most_each_other(shift: float) -> None:
    predictions = evaluated(shift)
    worst = predictions.views["worst"]
    for view, outcomes in predictions.views.items():
        assert auroc(predictions.labels, worst.score) <= auroc(predictions.labels, outcomes.score), view
        assert (worst.correct <= outcomes.correct).all(), view
    sign = 2 * predictions.labels - 1
    signed = np.stack([sign * outcomes.score for outcomes in predictions.views.values()])
    assert np.array_equal(sign * worst.score, signed.min(0))
    assert np.array_equal(worst.correct, worst.prediction == predictions.labels)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize(
    "attack",
    [APGDCE(eps=EPS, steps=10), APGDT(eps=EPS, steps=10), Square(eps=EPS, queries=50)],
    ids=lambda attack: attack.name,
)
def test_members_lower_the_signed_logit_of_images_on_either_side(attack: Attack, shift: float) -> None:
    data = subset("binary", 40)
    evaluation = Evaluation(Target(shifted(shift), task("binary")), data, batch_size=40)
    clean, attacked = evaluation.predictions.views["clean"], evaluation.attacked("view", attack)
    sign = 2 * evaluation.predictions.labels - 1
    assert (sign * attacked.score < sign * clean.score).all()


def test_a_library_ensemble_keeps_the_lowest_signed_logit_of_its_members() -> None:
    from gat_lightning.attacks import RankingProblem

    data = subset("binary", 20)
    batch = data.__getitems__(list(range(20)))
    attack = AutoAttack(eps=EPS, steps=5, queries=10, seed=0)
    for shift in SHIFTS:
        problem = RankingProblem(shifted(shift), batch.labels["class"])
        members = [member(problem, batch.images) for member in attack.members]
        signed = torch.stack([problem.signed_logit(images) for images in (batch.images, *members)])
        found = problem.signed_logit(attack(problem, batch.images))
        assert torch.allclose(found, signed.amin(0), atol=1e-6)


def test_an_output_that_is_not_finite_is_the_worst_of_all() -> None:
    outcomes = [
        Outcomes(np.array([1, 0]), np.array([True, True]), np.zeros(2, np.float32), np.array(score, np.float32))
        for score in ([3.0, -1.0], [np.nan, -2.0])
    ]
    from gat_lightning.evaluation.outcomes import worst_ranked

    assert np.isnan(worst_ranked(outcomes, np.array([1, 0])).score[0])
    assert worst_ranked(outcomes, np.array([1, 0])).score[1] == -1.0


def test_auroc_under_an_attack_that_stops_at_the_boundary_has_a_note() -> None:
    from gat_lightning.commands.evaluate.run import defined

    attacks = {"fab": FAB(eps=EPS), "pgd20": PGD(eps=EPS, steps=20), "cw": CW()}
    _, notes = defined(Target(trained("binary"), task("binary")), attacks)
    assert [note.split()[0] for note in notes] == ["fab", "cw"]
    assert all("AUROC under it is an upper bound" in note for note in notes)
    assert defined(Target(trained(), task()), attacks)[1] == []

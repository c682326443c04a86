"""Stages of AutoAttack: what each of its attacks leaves, and what is said of it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from gat_lightning.attacks import ClassifierProblem
from gat_lightning.attacks.autoattack import AutoAttack
from gat_lightning.attacks.norms import Linf
from gat_lightning.evaluation.journal import Journal
from gat_lightning.evaluation.outcomes import Outcomes
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.evaluation.robustness import Evaluation, evaluate_robustness
from gat_lightning.evaluation.stages import autoattack_log
from gat_lightning.evaluation.target import Target
from gat_lightning.evaluation.traces import Trace, measured, pixel_range
from support.trained_digits import subset, task, trained

ATTACK = AutoAttack(eps=0.06, steps=3, queries=10, seed=4)


@cache
def whole() -> Predictions:
    return predictions()


def predictions(journal: Journal | None = None) -> Predictions:
    target = Target(trained(), task())
    return evaluate_robustness(Evaluation(target, subset("multiclass"), batch_size=16, journal=journal), {"aa": ATTACK})


def test_each_stage_is_what_its_attack_leaves() -> None:
    """Against the attacks alone, each on the images that those before it did not fool."""
    found = whole()
    stages, model = found.traces["aa"].stages, trained()
    labels = torch.from_numpy(found.labels)
    images = subset("multiclass").__getitems__(list(range(60))).images
    stage = np.where(found.views["clean"].correct, -1, 0)
    for number, member in enumerate(ATTACK.members, 1):
        for start in range(0, 60, 16):
            rows = start + np.flatnonzero(stage[start : start + 16] == -1)
            if len(rows):
                problem = ClassifierProblem(model, labels[rows])
                fooled = problem.success(member(problem, images[rows])).numpy()
                stage[rows[fooled]] = number
        made = stages[number - 1]
        assert made.attack == member.name
        assert made.left == (stage == -1).sum() == round(60 * made.accuracy)
        assert made.attacked == made.left + (stage == number).sum()
        assert sum(batch.fooled for batch in made.batches) == (stage == number).sum()
        assert made.seconds > 0
    assert np.array_equal(found.traces["aa"].columns["stage"], stage)
    assert stages[0].left > stages[-1].left > 0


def test_the_log_is_worded_as_that_of_the_official_code() -> None:
    found = whole()
    trace = found.traces["aa"]
    lines = list(autoattack_log(ATTACK, found.views["clean"].correct.mean(), trace.stages, trace.extent))
    assert lines[0] == "using standard version including apgd-ce, apgd-t, fab-t, square."
    assert re.fullmatch(r"initial accuracy: [\d.]+%", lines[1])
    assert re.fullmatch(r"apgd-ce - 1/4 - \d+ out of \d+ successfully perturbed", lines[2])
    after = [line for line in lines if line.startswith("robust accuracy after")]
    said = [re.fullmatch(r"robust accuracy after (\S+): ([\d.]+%) \(total time [\d.]+ s\)", line) for line in after]
    assert [match and match[1] for match in said] == ["APGD-CE", "APGD-T", "FAB-T", "SQUARE"]
    assert [match and match[2] for match in said] == [f"{stage.accuracy:.2%}" for stage in trace.stages]
    assert lines[-2] == "max Linf perturbation: 0.06000, nan in tensor: 0, max: 1.00000, min: 0.00000"
    assert lines[-1] == f"robust accuracy: {found.views['aa'].correct.mean():.2%}"


def test_the_range_of_pixels_is_that_of_all_images_of_which_no_attack_fooled_some() -> None:
    """As in the official log, whose images stay clean where no attack succeeds."""
    clean = Outcomes(np.zeros(3, np.int64), np.ones(3, bool), *np.zeros((2, 3), np.float32))
    trace = Trace([clean], [pixel_range(torch.tensor([[0.3, 0.4], [0.5, 0.9], [0.2, 0.6]]))])
    before, after = torch.tensor([[0.3, 0.4], [0.2, 0.6]]), torch.tensor([[0.4, 0.3], [0.0, 0.7]])
    unit = measured(before, after, Linf()) | {"seconds": np.array(1.0)}
    trace.begin("apgd_ce")
    trace.add("apgd_ce", 0, np.array([0, 2]), unit, np.array([0]), np.zeros(2, bool))
    assert trace.extent == pytest.approx((0.1, 0.9, 0.2))


def test_times_and_stages_survive_an_interruption_and_the_disk(tmp_path: Path) -> None:
    first = predictions(Journal(tmp_path / "progress", "same"))
    second = predictions(Journal(tmp_path / "progress", "same"))
    assert second.traces["aa"].stages == first.traces["aa"].stages
    assert second.traces["aa"].seconds == first.traces["aa"].seconds > 0
    first.save(tmp_path / "predictions.npz")
    with np.load(tmp_path / "predictions.npz", allow_pickle=False) as file:
        assert file["aa/stage_attack"].tolist() == ["apgd_ce", "apgd_t", "fab", "square"]
        assert file["aa/stage_left"][-1] == (file["aa/stage"] == -1).sum() == file["aa/correct"].sum()
        seconds = [stage.seconds for stage in first.traces["aa"].stages]
        assert file["aa/stage_seconds"].tolist() == seconds
    assert sum(seconds) == pytest.approx(first.traces["aa"].seconds)
    assert list(Predictions.load(tmp_path / "predictions.npz").views) == ["clean", "aa", "worst"]

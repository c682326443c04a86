"""``python -m gat_lightning.report`` on folders where runs of different kinds lie side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from gat_lightning.commands.report import run
from gat_lightning.config.files import find_conf, plain
from gat_lightning.errors import UserError
from gat_lightning.evaluation.paired import load_correct
from gat_lightning.evaluation.statistics import mcnemar
from gat_lightning.reporting.curves import _series
from gat_lightning.reporting.groups import group
from gat_lightning.reporting.records import Record, collect
from gat_lightning.runs.metric_names import MetricName
from gat_lightning.runs.result import TrainingResult
from support.configurations import composed
from support.run_records import ATTACK, cells, config, evaluation, table, training, write


@pytest.mark.parametrize("weighting", sorted(path.stem for path in (find_conf() / "weighting").glob("*.yaml")))
def test_seeds_of_every_weighting_are_one_setting(tmp_path: Path, weighting: str) -> None:
    chosen = composed("train", "experiment=quickstart", f"weighting={weighting}", f"paths.run={tmp_path}")
    for seed in range(3):
        chosen.seed = seed
        directory = tmp_path / str(seed)
        directory.mkdir()
        write(directory, config=plain(chosen), metrics={"best": {"test/clean/accuracy": 0.9}})
    (only,) = group(collect([tmp_path])[0])
    assert only.seeds == [0, 1, 2]


def test_another_threat_has_a_column_of_its_own(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.50, 0.51, 0.52)):
        trained = training(tmp_path / "runs", f"run{seed}", seed, accuracy=accuracy)
    evaluation(trained, "other-norm", 0.88, pgd20=ATTACK | {"norm": "L2", "eps": 0.5})
    evaluation(trained, "other-tasks", 0.70, pgd20=ATTACK | {"tasks": "all"})
    evaluation(trained, "same", 0.52, pgd20=ATTACK | {"eps": 8 / 255})
    header, row = table(tmp_path)
    found = dict(zip(header, row, strict=True))
    assert found["PGD-20 accuracy (%)"] == "51.0 ± 1.0"
    assert found["PGD-20 L2 0.5 accuracy (%)"] == "88.0"
    assert found["PGD-20 Linf 8/255 all accuracy (%)"] == "70.0"


def test_of_several_evaluations_the_one_of_most_images_counts_and_differences_are_said(tmp_path: Path) -> None:
    trained = training(tmp_path / "runs", "run")
    for name, images, accuracy in (("a", 200, 0.4), ("b", 1000, 0.3), ("c", 100, 0.2)):
        evaluation(trained, name, accuracy, images=images, pgd20=ATTACK)
    evaluation(trained, "z", 0.1, images=50, fgsm=ATTACK)
    header, row = table(tmp_path)
    assert dict(zip(header, row, strict=True))["PGD-20 accuracy (%)"] == "30.0"
    for name in ("report.html", "tables.md"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert "over the same test images; clean accuracy (%): 1,000; FGSM accuracy (%): 50;" in text


def test_validation_scores_are_not_shown_as_test_scores(tmp_path: Path) -> None:
    trained = training(tmp_path / "runs", "run")
    directory = evaluation(trained, "val", 0.4, pgd20=ATTACK)
    result = json.loads((directory / "result.json").read_text())
    result["metrics"] = {"best": {"val/clean/accuracy": 0.1, "val/pgd20/accuracy": 0.1}}
    (directory / "result.json").write_text(json.dumps(result))
    header, row = table(tmp_path)
    assert header == ["setting", "seeds", "clean accuracy (%)", "PGD-20 accuracy (%)"]
    assert row[2:] == ["90.0", "50.0"]


def test_what_a_run_was_pretrained_with_is_a_part_of_it_and_debugging_is_left_out(tmp_path: Path) -> None:
    for task in ("none", "macro"):
        typed = [f"task={task}", "pretraining=['method=standard']"]
        trained = training(tmp_path / "runs", task, typed=typed, task=task)
        training(trained, "pretraining", task=task, method="standard")
    training(tmp_path / "runs" / "debug", "short", debug="fast", task="none")
    _, *rows = table(tmp_path)
    assert [row[0] for row in rows[:2]] == ["task=macro", "task=none"]
    assert len(rows) == 2
    assert "short: it was made with debug=fast" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_settings_that_share_a_component_are_told_apart(tmp_path: Path) -> None:
    for name, weighting in (
        ("a", {"_target_": "w.MGDA", "floor": None}), ("b", {"_target_": "w.MGDA", "floor": 0.5}),
        ("c", {"_target_": "w.Equal"}),
    ):  # fmt: skip
        training(tmp_path / "runs", name, weighting=weighting)
    labels = {row[0] for row in table(tmp_path)[1:]}
    assert labels == {"weighting=Equal", "weighting=MGDA weighting.floor=null", "weighting=MGDA weighting.floor=0.5"}


def test_a_curve_is_over_the_epochs_that_were_validated(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,val/clean/accuracy\n0,\n4,0.5\n9,0.6\n")
    assert _series(Record(tmp_path, TrainingResult(config={})), MetricName("val", "clean", "accuracy")) == {
        5: 0.5,
        10: 0.6,
    }


def test_against_a_baseline_all_tests_are_corrected_together(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    right = {"none": generator.random(200) < 0.5}
    for task in ("macro", "rotation", "jigsaw"):
        right[task] = right["none"] ^ (generator.random(200) < 0.1) | (generator.random(200) < 0.04)
    for task, correct in right.items():
        trained = training(tmp_path / "runs", task, typed=[f"task={task}"], task=task)
        evaluation(trained, "worst", 0.5, correct, pgd20=ATTACK)
    run(config(f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}", "baseline='task=none'"))
    tested = {row[0]: row[1:] for row in cells(tmp_path / "out" / "report.html") if len(row) == 5}
    assert tested.pop("setting") == ["seed", "only it right", "only baseline right", "Holm's p"]
    tasks = sorted(set(right) - {"none"})
    p_values = [mcnemar(right[task], right["none"]).p_value for task in tasks]
    adjusted = multipletests(p_values, method="holm")[1]
    assert tested == {
        f"task={task}": [
            "0",
            str((right[task] & ~right["none"]).sum()),
            str((right["none"] & ~right[task]).sum()),
            f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001",
        ]
        for task, p_value in zip(tasks, adjusted, strict=True)
    }


def test_against_a_baseline_only_evaluations_with_the_same_attacks_are_compared(tmp_path: Path) -> None:
    right = np.arange(200) < 80
    trainings = [training(tmp_path / "runs", task, typed=[f"task={task}"], task=task) for task in ("none", "macro")]
    for trained in trainings:
        evaluation(trained, "strong", 0.4, right, square=ATTACK, pgd20=ATTACK)
    evaluation(trainings[1], "weak", 0.9, np.arange(200) < 180, pgd20=ATTACK)
    run(config(f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}", "baseline='task=none'"))
    tested = [row for row in cells(tmp_path / "out" / "report.html") if len(row) == 5]
    assert tested[1:] == [["task=macro", "0", "0", "0", "1.000"]]


def test_without_common_attacks_nothing_is_compared(tmp_path: Path) -> None:
    right = np.arange(200) < 80
    found = []
    for task, attack in (("none", ATTACK), ("macro", ATTACK | {"steps": 5})):
        trained = training(tmp_path / "runs", task, typed=[f"task={task}"], task=task)
        found.append(evaluation(trained, "one", 0.4, right, pgd20=attack))
    run(config(f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}", "baseline='task=none'"))
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "task=macro, seed 0: evaluated with other attacks than the baseline, or on another number of images" in text
    with pytest.raises(UserError, match="other attacks behind 'worst'"):
        load_correct({path.name: str(path) for path in found}, "worst")

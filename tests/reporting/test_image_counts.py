"""Over how many images a report's figures are, which it says, and which of several figures counts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from gat_lightning.reporting.records import Record
from gat_lightning.runs.result import read_result
from support.run_records import ATTACK, evaluation, table, training


def run_of(folder: Path, name: str, images: int | None, task: str = "none", seed: int = 0) -> Path:
    """A training that says, or not, on how many images it was tested."""
    directory = training(folder, name, seed, task=task, typed=[f"task={task}"])
    result = json.loads((directory / "result.json").read_text()) | ({} if images is None else {"images": images})
    (directory / "result.json").write_text(json.dumps(result))
    return directory


def said(tmp_path: Path) -> str:
    """The sentence, which is the same in all files."""
    table(tmp_path)
    texts = [(tmp_path / "out" / name).read_text() for name in ("report.html", "tables.md", "tables.tex")]
    sentence = next(line for line in texts[1].splitlines() if "test images" in line or "test split" in line)
    assert sentence.partition(". ")[0] in texts[0]
    assert sentence.partition(". ")[0].replace("%", "\\%") in texts[2]
    return sentence


def figures(tmp_path: Path) -> dict[str, tuple[str, str]]:
    with (tmp_path / "out" / "results.csv").open() as file:
        return {row["metric"].split("/")[1]: (row["value"], row["images"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (360, "All figures are over 360 test images."),
        (None, "All figures are over the whole test split; the runs do not say how many images it has."),
    ],
)
def test_trainings_are_over_the_whole_split(tmp_path: Path, images: int | None, sentence: str) -> None:
    run_of(tmp_path / "runs", "run", images)
    assert said(tmp_path).startswith(sentence)
    assert "images</small>" not in (tmp_path / "out" / "report.html").read_text(), "each header need not say it too"


def test_a_score_of_training_over_more_images_is_kept(tmp_path: Path) -> None:
    evaluation(run_of(tmp_path / "runs", "run", 360), "few", 0.4, images=40, pgd20=ATTACK, square=ATTACK)
    sentence = said(tmp_path)
    assert (
        "clean accuracy (%): 360; Square accuracy (%): 40; PGD-20 accuracy (%): 360; worst accuracy (%): 40" in sentence
    )
    assert figures(tmp_path) == {
        "clean": ("0.9", "360"), "pgd20": ("0.5", "360"), "square": ("0.4", "40"), "worst": ("0.4", "40"),
    }  # fmt: skip


def test_another_attack_of_the_same_name_has_a_column_of_its_own(tmp_path: Path) -> None:
    evaluation(run_of(tmp_path / "runs", "run", 360), "few", 0.4, images=40, pgd20=ATTACK | {"restarts": 5})
    table(tmp_path)
    assert figures(tmp_path) == {
        "clean": ("0.9", "360"), "pgd20": ("0.5", "360"), "pgd20 restarts=5": ("0.4", "40"),
    }  # fmt: skip


def test_a_mean_is_over_the_same_images(tmp_path: Path) -> None:
    for seed in range(3):
        trained = run_of(tmp_path / "runs", str(seed), 360, seed=seed)
        if seed:
            evaluation(trained, "few", 0.1 + 0.2 * seed, images=200, square=ATTACK)
    evaluation(tmp_path / "runs" / "0", "fewer", 0.9, images=40, square=ATTACK)
    header, row = table(tmp_path)
    assert dict(zip(header, row, strict=True))["Square accuracy (%)"] == "40.0 ± 14.1"
    html = (tmp_path / "out" / "report.html").read_text()
    assert "<small>2 seeds</small>" in html
    assert "Square accuracy (%)<small>200 images</small>" in html


@pytest.mark.parametrize(("images", "limit"), [(200, None), (None, 40)], ids=["as many images", "number not known"])
def test_else_the_evaluation_counts(tmp_path: Path, images: int | None, limit: int | None) -> None:
    trained = run_of(tmp_path / "runs", "run", images)
    evaluation(trained, "again", 0.4, images=limit, pgd20=ATTACK)
    table(tmp_path)
    assert figures(tmp_path)["pgd20"][0] == "0.4"


def test_figures_over_some_of_the_images_say_of_how_many(tmp_path: Path) -> None:
    for task in ("none", "macro"):
        directory = run_of(tmp_path / "runs", task, 360, task)
        evaluation(directory, "few", 0.4, images=40, pgd20=ATTACK)
        result = json.loads((directory / "result.json").read_text())
        result["metrics"]["best"] = {}
        (directory / "result.json").write_text(json.dumps(result))
    assert said(tmp_path).startswith("All figures are over 40 of the 360 test images. ")


@pytest.mark.parametrize(("batches", "some"), [(1, True), (1.0, False), (None, False), (0.5, True)])
def test_a_training_may_have_tested_some_batches(tmp_path: Path, batches: float | None, some: bool) -> None:
    directory = training(tmp_path, "run", trainer={"limit_test_batches": batches})
    assert Record(directory, read_result(directory)).is_limited == some


def test_a_number_that_one_run_knows_holds_for_all(tmp_path: Path) -> None:
    run_of(tmp_path / "runs", "old", None, "none")
    run_of(tmp_path / "runs", "new", 360, "macro")
    assert said(tmp_path).startswith("All figures are over 360 test images.")

"""The paper's numbers beside those of synthetic runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gat_lightning.commands.report import run
from gat_lightning.errors import UserError
from gat_lightning.evaluation.statistics import pearson
from gat_lightning.reporting.paper.published import Published, published
from gat_lightning.reporting.published import Line, beside_published, markdown, runs_of
from gat_lightning.reporting.records import Record, collect
from support.run_records import cells, config


def training(
    folder: Path,
    table: str | None,
    row: list[str],
    seed: int = 0,
    scale: str = "full",
    more: Any = (),
    **metrics: float,
) -> Path:
    """A finished run with metrics named ``clean`` and ``pgd10``, or ``result.json`` entries in ``more``."""
    directory = folder / f"{table}-{'-'.join(row).replace('/', '.')}-{seed}-{scale}"
    directory.mkdir(parents=True)
    settings = {"paper": {"table": table, "row": row, "scale": scale}, "seed": seed, "data": {"eps": 0.1}}
    scores = {f"test/{view}/accuracy": value for view, value in metrics.items()}
    result = {"schema": 1, "status": "finished", "config": settings, "metrics": {"best": scores}, **dict(more)}
    (directory / "result.json").write_text(json.dumps(result))
    return directory


def with_gradients(directory: Path, value: float) -> None:
    """Make the run an evaluation that has measured the gradients of two tasks."""
    result = json.loads((directory / "result.json").read_text())
    gradients = {"class|macro": {of: {"mean": value} for of in ("curvature", "magnitude_similarity", "cosine")}}
    measured = {"trained": result["config"], "task_gradients": gradients}
    (directory / "result.json").write_text(json.dumps(result | measured))


def lines(folder: Path, name: str) -> tuple[Published, list[Line]]:
    table = published(name)
    return table, beside_published(collect([folder])[0], table, "best")


def only(found: list[Line], row: str, column: str) -> Line:
    rows = {line.row for line in found if line.row == row} or {line.row for line in found if line.row.startswith(row)}
    (line,) = (line for line in found if line.row in rows and line.column.startswith(column))
    return line


def test_a_cell_is_the_mean_over_the_seeds_of_its_own_runs(tmp_path: Path) -> None:
    clean, robust = [0.7, 0.72, 0.71], [0.4, 0.5, 0.45]
    for seed in range(3):
        training(tmp_path, "table2", ["weighting=mgda"], seed, clean=clean[seed], pgd10=robust[seed])
        training(tmp_path, "table2", ["weighting=equal"], seed, clean=0.1, pgd10=0.1)
        training(tmp_path, "table13", ["weighting=mgda"], seed, clean=0.2, pgd10=0.2)
    table, found = lines(tmp_path, "table2")
    line = only(found, "Macro Task + MGDA", "Robust")
    assert (line.printed, line.runs, line.scale) == ("48.38", 3, "full")
    assert line.measured == f"{100 * np.mean(robust):.2f} ± {100 * np.std(robust, ddof=1):.2f}"
    assert only(found, "Macro Task + Equal", "Test").measured == "10.00 ± 0.00"
    assert only(found, "Macro Task + GV", "Test").measured == ""
    assert [(line.row, line.printed) for line in found] == [
        (row.name, cell.text) for row in table.rows for cell in row.cells if cell is not None
    ]


def test_scales_are_told_apart_and_small_ones_are_not_called_comparable(tmp_path: Path) -> None:
    for scale, clean in (("full", 0.8), ("small", 0.6), ("smoke", 0.1)):
        training(tmp_path, "table2", ["weighting=mgda"], 0, scale, clean=clean, pgd10=0.1)
    found = [line for line in lines(tmp_path, "table2")[1] if line.measured and line.column.startswith("Test")]
    assert [(line.measured, line.scale) for line in found] == [
        ("80.00", "full"),
        ("60.00", "small: not the paper's budget"),
        ("10.00", "smoke: not comparable"),
    ]


def test_runs_that_differ_in_more_than_the_seed_are_not_averaged(tmp_path: Path) -> None:
    for eps, clean in ((0.1, 0.5), (0.2, 0.7)):
        directory = training(tmp_path / str(eps), "table2", ["weighting=mgda"], clean=clean, pgd10=0.1)
        path = directory / "result.json"
        path.write_text(path.read_text().replace('"eps": 0.1', f'"eps": {eps}'))
    found = [line for line in lines(tmp_path, "table2")[1] if line.measured and line.column.startswith("Test")]
    assert sorted((line.measured, line.scale) for line in found) == [
        ("50.00", "full (data.eps=0.1)"),
        ("70.00", "full (data.eps=0.2)"),
    ]


def test_a_row_may_be_measured_by_another_tables_runs(tmp_path: Path) -> None:
    training(tmp_path, "table1", ["recipe/case=plain", "task=none"], clean=0.75, pgd10=0.39)
    training(tmp_path, "table1", ["recipe/case=cutmix", "task=none"], clean=0.1, pgd10=0.1)
    found = lines(tmp_path, "table3")[1]
    assert only(found, "None", "Test").measured == "75.00"
    assert only(found, "None", "Robust").printed == ""
    assert {line.measured for line in found if line.row != "None"} == {""}


def test_a_figure_takes_the_runs_of_its_table(tmp_path: Path) -> None:
    training(tmp_path, "table15", ["task=macro"], clean=0.7, pgd10=0.25)
    found = lines(tmp_path, "figure5")[1]
    assert {line.row: line.measured for line in found if line.measured} == {"Target + Macro": "25.00"}


@pytest.mark.parametrize(("name", "word"), [("table2", "-m experiment=paper/table2"), ("figure6", "paper/figure6")])
def test_without_runs_the_message_says_how_to_make_them(tmp_path: Path, name: str, word: str) -> None:
    training(tmp_path, None, [], clean=0.7)
    with pytest.raises(UserError, match=word):
        runs_of(collect([tmp_path])[0], published(name))


def test_an_attack_of_an_evaluation_fills_its_cell(tmp_path: Path) -> None:
    row = ["recipe/encoder=resnet50", "task=macro"]
    directory = training(tmp_path / "train", "table4", row, clean=0.8, pgd10=0.4)
    before = lines(tmp_path, "table4")
    assert only(before[1], "AutoAttack", "Macro").measured == ""
    assert "evaluation=autoattack+apgd_ce+fab" in markdown(before[1], before[0])
    trained = json.loads((directory / "result.json").read_text())["config"]
    training(tmp_path / "eval", "eval", [], more={"trained": trained}.items(), clean=0.8, autoattack=0.3)
    found = lines(tmp_path, "table4")[1]
    assert only(found, "AutoAttack", "Macro").measured == "30.00"
    assert only(found, "WideResnet28", "Macro").measured == ""


def test_the_hyper_volume_is_that_of_the_front(tmp_path: Path) -> None:
    pytest.importorskip("moocore", reason="needs gat-lightning[report]")
    for task, clean, robust in (("jigsaw", 0.5, 0.4), ("macro", 0.8, 0.2), ("rotation", 0.4, 0.1)):
        training(tmp_path, "table14", ["weighting=mgda", f"task={task}"], clean=clean, pgd10=robust)
    found = lines(tmp_path, "table14")[1]
    line = only(found, "MGDA", "Hyper-volume")
    dominated = 0.8 * 0.2 + 0.5 * (0.4 - 0.2)  # the union of two rectangles; rotation adds nothing
    assert (line.printed, line.measured) == ("0.4442", f"{1 - dominated:.4f}")
    assert line.runs == 3
    line = only(found, "MGDA", "Dominated")
    assert (line.printed, line.measured) == ("", f"{dominated:.4f}")


def test_the_correlation_is_pearsons_over_the_models(tmp_path: Path) -> None:
    robust, curvature = [0.1, 0.3, 0.2, 0.5], [1.0, 0.5, 0.9, 0.1]
    for index, (accuracy, value) in enumerate(zip(robust, curvature, strict=True)):
        row = ["method=madry", f"weighting={index}", "task=macro"]
        with_gradients(training(tmp_path, "figure1", row, clean=0.9, pgd10=accuracy), value)
    line = only(lines(tmp_path, "figure1")[1], "Models with AT", "Gradient multi-task")
    assert line.printed == "-0.86"
    assert line.measured == f"{pearson(robust, curvature).r:.4f}"
    assert line.runs == 4


def test_models_that_are_all_alike_have_no_correlation(tmp_path: Path) -> None:
    for index in range(3):
        row = ["method=madry", f"weighting={index}", "task=macro"]
        with_gradients(training(tmp_path, "figure1", row, clean=0.9, pgd10=0.2), index)
    assert {line.measured for line in lines(tmp_path, "figure1")[1]} == {""}


def test_a_success_rate_is_found_by_the_names_of_the_runs(tmp_path: Path) -> None:
    single = training(tmp_path, "table17", ["task=none"], clean=0.9)
    rotation = training(tmp_path, "table17", ["task=rotation"], clean=0.9)
    trained = json.loads((single / "result.json").read_text())["config"]
    rates = {"best": {"best": 0.98, rotation.name: 0.84}, rotation.name: {"best": 0.37, rotation.name: 0.97}}
    more = {"trained": trained, "transfer": {"success_of_all": rates}}
    training(tmp_path / "eval", "eval", [], more=more.items(), clean=0.9)
    found = lines(tmp_path, "table17")[1]
    assert only(found, "Surrogate Single", "Target Auxiliary Rotation").measured == "84.00"
    assert only(found, "Surrogate Auxiliary Rotation", "Target Single").measured == "37.00"
    assert only(found, "Surrogate Auxiliary Jigsaw", "Target Single").measured == ""
    assert any("1 - robust accuracy over all images" in caveat for caveat in published("table17").caveats)


def test_the_report_shows_the_paper_beside_the_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training(tmp_path / "runs", "table2", ["weighting=mgda"], scale="smoke", clean=0.71, pgd10=0.44)
    training(tmp_path / "runs", "table13", ["weighting=mgda"], clean=0.2, pgd10=0.2)
    run(config(f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}", "paper=table2"))
    table = published("table2")
    text = (tmp_path / "out" / "published.md").read_text(encoding="utf-8")
    assert "| Macro Task + MGDA (Ours) | Robust acc (%) | 48.38 | 44.00 | 1 | smoke: not comparable |" in text
    assert all(caveat in text for caveat in table.caveats)
    assert text in capsys.readouterr().out
    rows = cells(tmp_path / "out" / "report.html")
    assert ["Macro Task + MGDA (Ours)", "Test acc (%)", "73.70", "71.00", "1", "smoke: not comparable"] in rows
    assert not any(row[0] == "table13" for row in rows)


def test_a_table_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    training(tmp_path, "table2", ["weighting=mgda"], clean=0.7, pgd10=0.4)
    with pytest.raises(UserError, match="no numbers of 'tabel2'; did you mean table2"):
        run(config(f"runs={tmp_path}", f"output={tmp_path / 'out'}", "paper=tabel2"))


def test_records_without_the_paper_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    result = {"schema": 1, "status": "finished", "config": {"seed": 0}, "metrics": {"best": {}}}
    (tmp_path / "old" / "result.json").write_text(json.dumps(result))
    records: list[Record] = collect([tmp_path])[0]
    assert len(records) == 1
    assert {line.measured for line in beside_published(records, published("table1"), "best")} == {""}

"""``python -m gat_lightning.report`` on synthetic runs."""

from __future__ import annotations

import csv
import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind
from statsmodels.stats.multitest import multipletests

from gat_lightning.commands.report import run
from gat_lightning.errors import UserError
from gat_lightning.report import quoted
from gat_lightning.reporting.fronts import pareto
from support.run_records import cells, config

TASKS = ("none", "macro", "macro+rotation")
WEIGHTINGS = ("mgda", "equal")


def settings(task: str, weighting: str, seed: int) -> dict[str, Any]:
    return {
        "task": {name: {"_target_": f"tasks.{name}"} for name in task.split("+") if name != "none"},
        "weighting": {"_target_": f"weighting.{weighting.upper()}"},
        "data": {"seed": seed, "eps": 0.1},
        "seed": seed,
        "name": "synthetic",
        "paths": {"run": f"somewhere/{seed}"},
    }


def training(folder: Path, task: str, weighting: str, seed: int, typed: bool = True) -> dict[str, float]:
    generator = np.random.default_rng([TASKS.index(task), WEIGHTINGS.index(weighting), seed])
    clean, robust = 0.9 + 0.1 * generator.random(), 0.4 + 0.3 * generator.random()
    metrics = {"test/clean/accuracy": clean, "test/pgd20/accuracy": robust}
    directory = folder / f"{task}-{weighting}-{seed}"
    (directory / ".hydra").mkdir(parents=True)
    if typed:
        words = ["experiment=quickstart", f"task={task}", f"weighting={weighting}", f"seed={seed}"]
        (directory / ".hydra" / "overrides.yaml").write_text("".join(f"- {word}\n" for word in words))
    result = {
        "schema": 1, "status": "finished", "config": settings(task, weighting, seed), "seed": seed,
        "metrics": {"best": {"epoch": 3, **metrics}}, "files": {"metrics": "metrics.csv"},
    }  # fmt: skip
    (directory / "result.json").write_text(json.dumps(result))
    lines = ["epoch,step,stationarity,weight/class/adv,weight/macro/adv,val/clean/accuracy"]
    for step in range(1, 4):
        lines += [f"{step - 1},{step},0.1,0.{step},0.5,", f"{step - 1},{step},,,,0.{step}"]
    (directory / "metrics.csv").write_text("\n".join(lines) + "\n")
    return metrics


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, str], list[dict[str, float]]]]:
    folder = tmp_path_factory.mktemp("report")
    runs = folder / "runs"
    expected = {
        (task, weighting): [training(runs, task, weighting, seed) for seed in range(3)]
        for task in TASKS
        for weighting in WEIGHTINGS
    }
    for name, content in {
        "damaged": "{",
        "foreign": json.dumps({"loss": 1}),
        "future": json.dumps({"schema": 99, "status": "finished"}),
        "failed": json.dumps({"schema": 1, "status": "failed", "config": {}, "metrics": {}}),
        "no metrics": json.dumps({"schema": 1, "status": "finished", "config": {}}),
    }.items():
        (runs / name).mkdir()
        (runs / name / "result.json").write_text(content)
    (runs / "killed" / ".hydra").mkdir(parents=True)
    run(config(f"runs={runs}", f"output={folder / 'out'}"))
    return folder / "out", expected


def test_every_figure_of_the_page_follows_from_the_results(report: Any) -> None:
    output, expected = report
    header, *rows = cells(output / "report.html")
    assert header == ["setting", "seeds", "clean accuracy (%)", "PGD-20 accuracy (%)"]
    assert len(rows) == len(expected)
    for label, seeds, *texts in rows:
        task, weighting = (word.partition("=")[2] for word in label.lower().split())
        assert seeds == "3"
        for text, name in zip(texts, ("test/clean/accuracy", "test/pgd20/accuracy"), strict=True):
            values = 100 * np.array([metrics[name] for metrics in expected[task, weighting]])
            assert text == f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def test_the_csv_has_every_value_unrounded(report: Any) -> None:
    output, expected = report
    with (output / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * len(expected)
    for row in rows:
        task, weighting = (word.partition("=")[2] for word in row["setting"].lower().split())
        assert float(row["value"]) == expected[task, weighting][int(row["seed"])][row["metric"]]


def test_the_best_and_what_a_test_cannot_tell_from_it_are_bold(report: Any) -> None:
    output, expected = report
    bold = set()
    for name in ("test/clean/accuracy", "test/pgd20/accuracy"):
        values = [[metrics[name] for metrics in seeds] for seeds in expected.values()]
        best = max(values, key=np.mean)
        others = [each for each in values if each is not best]
        p_values = [ttest_ind(best, each).pvalue for each in others]
        alike = multipletests(p_values, method="holm")[1] > 0.05
        bold |= {f"{100 * np.mean(each):.1f}" for each in [best, *itertools.compress(others, alike)]}
    found = re.findall(r"\*\*([\d.]+) ", (output / "tables.md").read_text(encoding="utf-8"))
    assert 2 < len(bold) < 2 * len(expected)
    assert set(found) == bold
    assert (output / "tables.tex").read_text(encoding="utf-8").count("\\textbf") == len(found)


def test_the_rows_are_sorted_by_the_strongest_attack(report: Any) -> None:
    output, expected = report
    robust = [float(row[3].split()[0]) for row in cells(output / "report.html")[1:]]
    assert robust == sorted(robust, reverse=True)
    assert len(robust) == len(expected)


def test_the_table_in_latex_has_names_caption_and_label(report: Any) -> None:
    text = (report[0] / "tables.tex").read_text(encoding="utf-8")
    assert "Setting & Seeds & clean accuracy (\\%) & PGD-20 accuracy (\\%) \\\\" in text
    assert "\\caption{Results on unknown data. All figures are" in text
    assert "\\label{tab:unknown-data}" in text
    assert text.count("{") == text.count("}")


def test_unusable_directories_are_listed_with_the_reason(report: Any) -> None:
    text = (report[0] / "report.html").read_text(encoding="utf-8")
    for name, reason in (
        ("damaged", "damaged, or not one of ours"),
        ("foreign", "damaged, or not one of ours"),
        ("future", "has schema 99, and this version reads 1"),
        ("failed", "the run has failed"),
        ("no metrics", "lacks its configuration or its metrics"),
        ("killed", "the run goes on, or was killed"),
    ):
        assert re.search(rf"{name}: [^<]*{reason}", text), name


def test_the_page_is_whole_and_needs_no_network(report: Any) -> None:
    output = report[0]
    text = (output / "report.html").read_text(encoding="utf-8")
    assert len(text) < 5_000_000
    assert text.count("data:image/png;base64,") == 1 + 1 + 6  # without times there is no figure of the cost
    assert "http" not in text
    assert "18 trainings and 0 evaluations of 6 settings; 6 runs left out." in text
    assert text.count("18 trainings") == 1
    assert "Checkpoint best, sorted by PGD-20 accuracy." in text
    for name in ("front", "curve_clean_accuracy", *(f"weights_{number}" for number in range(1, 7))):
        assert (output / "figures" / f"{name}.png").stat().st_size > 1000
        assert (output / "figures" / f"{name}.svg").stat().st_size > 1000


def test_labels_without_hydra_follow_from_the_settings_that_differ(tmp_path: Path) -> None:
    for task in TASKS[:2]:
        for weighting in WEIGHTINGS:
            training(tmp_path / "runs", task, weighting, 0, typed=False)
    run(config(f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}"))
    labels = {row[0] for row in cells(tmp_path / "out" / "report.html")[1:]}
    tasks = ("task=none", "task=macro")
    assert labels == {f"{task} weighting={weighting}" for task in tasks for weighting in ("MGDA", "EQUAL")}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["runs=nowhere"], "no finished run in nowhere .*no such folder"),
        ([], "Say what to report on"),
    ],
)
def test_wrong_inputs_are_refused(tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(config(*overrides, f"output={tmp_path}"))


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ("task=non", "no setting fits; there are: task=macro"),
        (
            "weighting=mgda",
            "several settings fit: task=macro weighting=MGDA; task=none weighting=MGDA. Write the whole name of one,"
            " such as baseline='task=macro weighting=MGDA'",
        ),
    ],
)
def test_a_baseline_must_be_one_setting(tmp_path: Path, baseline: str, message: str) -> None:
    for task in TASKS[:2]:
        for weighting in WEIGHTINGS:
            training(tmp_path / "runs", task, weighting, 0)
    with pytest.raises(UserError, match=message):
        run(config(f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}", f"baseline='{baseline}'"))


def test_the_page_is_named_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    training(Path("runs"), "none", "mgda", 0)
    assert run(config("runs=runs")) == tmp_path / "report" / "report.html"
    assert f"Report: {tmp_path}/report/report.html\n" in capsys.readouterr().out


def test_the_baseline_is_typed_without_quotes() -> None:
    assert quoted("baseline=task=none") == "baseline='task=none'"
    assert quoted("baseline='task=none'") == "baseline='task=none'"
    assert quoted("runs=outputs") == "runs=outputs"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_no_point_dominates_one_of_the_front(points: list[tuple[int, int]]) -> None:
    table = np.array(points, dtype=float)
    chosen = pareto(table)
    for point, on_front in zip(table, chosen, strict=True):
        dominated = any((other >= point).all() and (other > point).any() for other in table)
        assert on_front == (not dominated)

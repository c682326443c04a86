"""Correlations of gradient measures with robust accuracy, over synthetic runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from gat_lightning.commands.report import run
from gat_lightning.reporting.columns import robust_metric
from gat_lightning.reporting.correlations import HEADERS, OF_TASKS, correlate, models, of_training
from gat_lightning.reporting.groups import group
from gat_lightning.reporting.records import collect
from gat_lightning.runs.metric_names import MetricName
from support.run_records import cells, config

ROBUST = MetricName("test", "pgd20", "accuracy")
METHODS = ("Madry", "Standard")
PAIRS = ("class|macro", "class|rotation", "macro|rotation")


def write_model(folder: Path, method: str, seed: int, evaluated: bool = True) -> dict[str, float]:
    """A training and its evaluation; what is to be correlated, by the beginnings of the titles."""
    generator = np.random.default_rng([METHODS.index(method), seed])
    robust = 0.2 + 0.4 * generator.random()
    settings = {"method": {"_target_": f"gat_lightning.methods.{method}"}, "seed": seed, "data": {"lr": seed}}
    home = folder / f"{method}-{seed}"
    (home / ".hydra").mkdir(parents=True)
    (home / ".hydra" / "overrides.yaml").write_text(f"- method={method.lower()}\n- seed={seed}\n")
    scores = {"test/clean/accuracy": 0.9, str(ROBUST): robust}
    result = {"schema": 1, "status": "finished", "config": settings, "metrics": {"best": scores}}
    (home / "result.json").write_text(json.dumps(result))
    rows = ["step,epoch,stationarity,cosine/b|a,cosine/c|a,cosine/c|b,norm/a,norm/b,norm/c"]
    logged = generator.uniform(0.1, 1, (6, 6))
    rows += [f"{step},{step // 3},0.1,{','.join(map(str, values))}" for step, values in enumerate(logged)]
    (home / "metrics.csv").write_text("\n".join([*rows, "6,1,,,,,,,"]) + "\n")
    last, norms = logged[3:], logged[3:, 3:]
    similar = [2 * row[i] * row[j] / (row[i] ** 2 + row[j] ** 2) for row in norms for i in range(3) for j in range(i)]
    expected = {
        "robust": robust,
        "cosine of the objectives": last[:, :3].mean(),
        "magnitude similarity of": np.mean(similar),
        "gradient norm of the": norms.mean(),
    }
    if evaluated:
        table = generator.random((3, 3))
        gradients = {
            pair: {name: {"mean": table[i, k]} for k, name in enumerate(OF_TASKS)} for i, pair in enumerate(PAIRS)
        }
        change = {"vulnerability": robust**2, "mean_increase": -1.0, "first_order": None}
        vulnerability = {"pgd20": {"norm": "Linf", "eps": 0.15, **change}}
        measured: dict[str, Any] = {"trained": settings, "task_gradients": gradients, "vulnerability": vulnerability}
        for number, checkpoint in enumerate(("best", "last")):
            other = folder / f"eval-{method}-{seed}-{number}"
            other.mkdir()
            worse = {**measured, "task_gradients": dict.fromkeys(PAIRS, gradients[PAIRS[0]])}
            content = {**result, "metrics": {checkpoint: scores}, **(measured if checkpoint == "best" else worse)}
            content["config"] = {"checkpoint": str(home / "checkpoints" / f"{checkpoint}.ckpt")}
            (other / "result.json").write_text(json.dumps(content))
        expected |= dict(zip(("cosine (def", "magnitude similarity (def", "curvature"), table.mean(0), strict=True))
        expected["vulnerability"] = robust**2
    return {name: float(value) for name, value in expected.items()}


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, int], dict[str, float]]]:
    """Folder of the report, and what each model was given."""
    folder = tmp_path_factory.mktemp("models")
    expected = {(method, seed): write_model(folder, method, seed) for method in METHODS for seed in range(6)}
    output = tmp_path_factory.mktemp("report")
    run(config(f"runs={folder}", f"output={output}"))
    return output, expected


def test_each_coefficient_equals_scipys_over_the_models(reported: Any) -> None:
    folder, expected = reported
    with (folder / "correlations.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    measures = [name for name in next(iter(expected.values())) if name != "robust"]
    assert len(lines) == len(measures) * (1 + len(METHODS))
    for line in lines:
        (measure,) = (name for name in measures if line["measure"].startswith(name))
        chosen = [values for (method, _), values in expected.items() if line["models"] in ("all", method)]
        robust, values = ([each[name] for each in chosen] for name in ("robust", measure))
        linear, ranked = pearsonr(robust, values), spearmanr(robust, values)
        assert int(line["n"]) == len(chosen)
        assert (float(line["r"]), float(line["r_p_value"])) == pytest.approx((linear.statistic, linear.pvalue))
        assert float(line["rho"]) == pytest.approx(ranked.statistic)
        interval = linear.confidence_interval(0.95)
        assert (float(line["r_low"]), float(line["r_high"])) == pytest.approx((interval.low, interval.high))
    with (folder / "gradients.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(expected) * len(measures)


def test_the_page_has_a_row_and_a_picture_for_each(reported: Any) -> None:
    folder = reported[0]
    with (folder / "correlations.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    rows = cells(folder / "report.html")
    start = rows.index(list(HEADERS))
    shown = rows[start + 1 : start + 1 + len(lines)]
    assert [row[:4] for row in shown] == [
        [line["measure"], line["models"], line["n"], f"{float(line['r']):.2f}"] for line in lines
    ]
    assert f"| {' | '.join(shown[0])} |" in (folder / "tables.md").read_text(encoding="utf-8")
    for number in range(1, 1 + len(lines) // 3):
        assert (folder / "figures" / f"gradients_{number}.png").stat().st_size > 1000
        assert (folder / "figures" / f"gradients_{number}.svg").stat().st_size > 1000
    assert not (folder / "figures" / f"gradients_{1 + len(lines) // 3}.png").exists()


def test_only_what_at_least_three_models_have(tmp_path: Path) -> None:
    for seed in range(4):
        write_model(tmp_path, "Madry", seed, evaluated=seed < 2)
    lines = correlate(models(group(collect([tmp_path])[0]), ROBUST, "best"))
    assert {line.measure.rpartition(" ")[2] for line in lines} == {"training"}
    assert {(line.models, line.linear.n) for line in lines} == {("all", 4)}
    assert correlate(models(group(collect([tmp_path])[0]), MetricName("test", "square", "accuracy"), "best")) == []
    few = [point for point in models(group(collect([tmp_path])[0]), ROBUST, "best") if point.seed < 2]
    assert correlate(few) == []


def test_the_strongest_attack_that_all_models_faced_is_taken(tmp_path: Path) -> None:
    for seed in range(3):
        write_model(tmp_path, "Madry", seed, evaluated=seed < 1)
    path = tmp_path / "eval-Madry-0-0" / "result.json"
    result = json.loads(path.read_text())
    result["metrics"]["best"]["test/autoattack/accuracy"] = 0.1
    path.write_text(json.dumps(result))
    groups = group(collect([tmp_path])[0])
    assert robust_metric(groups, "best") == ROBUST
    assert robust_metric(groups, "best", "autoattack") == MetricName("test", "autoattack", "accuracy")
    assert robust_metric(groups, "best", "square") is None


def test_runs_without_such_measures_have_no_section(tmp_path: Path) -> None:
    for seed in range(3):
        write_model(tmp_path / "runs", "Madry", seed, evaluated=False)
        (tmp_path / "runs" / f"Madry-{seed}" / "metrics.csv").unlink()
    page = run(config(f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}"))
    assert "Gradients and robustness" not in page.read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "correlations.csv").exists()


def test_objectives_that_are_alone_or_empty_have_no_cosine() -> None:
    alone = {"stationarity": "0.1", "norm/a": "0.5", "weight/a": "1"}
    assert of_training([alone]) == {"gradient norm of the objectives in training": 0.5}
    without = {**alone, "cosine/b|a": "", "norm/b": "", "epoch": "1"}
    assert set(of_training([without])) == {"gradient norm of the objectives in training"}
    assert of_training([{"step": "1", "stationarity": "", "val/clean/accuracy": "0.5"}]) == {}
    assert of_training([{"stationarity": "nan", "norm/a": "nan"}]) == {}

"""A report on two hundred runs: every figure on the page, its size, and what it leaves out."""

from __future__ import annotations

import io
import json
import re
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import pearsonr, spearmanr

from gat_lightning.commands.report import run
from gat_lightning.reporting.correlations import HEADERS
from support.run_records import cells, config

pytestmark = pytest.mark.slow

TASKS = ("none", "macro", "rotation", "macro+rotation", "jigsaw")
WEIGHTINGS = ("equal", "mgda", "gradvac", "pcgrad")
SEEDS = 10
ATTACKS = ("pgd20", "autoattack")
EPOCHS = 60
BROKEN = 10


def scores(task: int, weighting: int, seed: int) -> dict[str, float]:
    generator = np.random.default_rng([task, weighting, seed])
    clean = 0.75 + 0.04 * task + 0.02 * generator.standard_normal()
    robust = 0.40 + 0.03 * weighting + 0.02 * generator.standard_normal()
    return {
        "test/clean/accuracy": float(clean),
        "test/pgd20/accuracy": float(robust),
        "test/autoattack/accuracy": float(robust - 0.05),
        "test/clean/mae": float(1 - clean),
    }


@cache
def gallery() -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (115, 62, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).resize((620, 1150)).save(content, "PNG")
    return content.getvalue()


def write_run(folder: Path, task: str, weighting: str, seed: int, metrics: dict[str, float]) -> float:
    """The mean cosine of its last epoch."""
    directory = folder / f"{task}-{weighting}-{seed}"
    (directory / ".hydra").mkdir(parents=True)
    words = ["experiment=quickstart", f"task={task}", f"weighting={weighting}", f"seed={seed}"]
    (directory / ".hydra" / "overrides.yaml").write_text("".join(f"- {word}\n" for word in words))
    generator = np.random.default_rng(seed)
    names = ["step", "epoch", "stationarity", "weight/class/clean", "weight/class/adv", "cosine/class/adv|class/clean"]
    names += ["norm/class/clean", "norm/class/adv", "val/clean/accuracy", "val/pgd20/accuracy"]
    rows = [",".join(names)]
    for epoch in range(EPOCHS):
        for part in range(10):
            weight = generator.random()
            gradients = ",".join(map(str, generator.random(3)))
            rows.append(f"{10 * epoch + part},{epoch},0.1,{weight},{1 - weight},{gradients},,")
        rows.append(f"{10 * epoch + 9},{epoch},,,,,,,{generator.random()},{generator.random()}")
    (directory / "metrics.csv").write_text("\n".join(rows) + "\n")
    images = directory / "images"
    images.mkdir()
    (images / "adversarial.png").write_bytes(gallery())
    result = {
        "schema": 1,
        "status": "finished",
        "config": {"task": {name: {} for name in task.split("+")}, "weighting": {"kind": weighting}, "seed": seed},
        "seed": seed,
        "metrics": {"best": {"epoch": EPOCHS, **metrics}, "last": {"epoch": EPOCHS, "test/clean/accuracy": 0.123}},
        "files": {"metrics": "metrics.csv", "images": ["images/adversarial.png"]},
    }
    (directory / "result.json").write_text(json.dumps(result))
    return float(
        np.mean([float(row.split(",")[5]) for row in rows[1:] if row.split(",")[1:3] == [f"{EPOCHS - 1}", "0.1"]])
    )


def write_broken(folder: Path, number: int) -> None:
    directory = folder / f"broken-{number}"
    (directory / ".hydra").mkdir(parents=True)
    contents: list[str | None] = [
        None, "", "{", "[]", "null", json.dumps({"schema": 99, "status": "finished"}),
        json.dumps({"schema": 1, "status": "failed", "config": {}, "metrics": {}}),
        json.dumps({"schema": 1, "status": "interrupted", "config": {}, "metrics": {}}),
        json.dumps({"schema": 1, "status": "finished", "config": {}}), json.dumps({"loss": 1.0}),
    ]  # fmt: skip
    content = contents[number]
    if content is not None:
        (directory / "result.json").write_text(content)


def test_two_hundred_runs_of_which_ten_are_broken(tmp_path: Path, capsys: Any) -> None:
    runs, output = tmp_path / "runs", tmp_path / "out"
    points = [
        (task, weighting, seed)
        for task in range(len(TASKS))
        for weighting in range(len(WEIGHTINGS))
        for seed in range(SEEDS)
    ][: 200 - BROKEN]
    expected: dict[tuple[str, str], list[dict[str, float]]] = {}
    robust, cosines = [], []
    for task, weighting, seed in points:
        metrics = scores(task, weighting, seed)
        expected.setdefault((TASKS[task], WEIGHTINGS[weighting]), []).append(metrics)
        cosines.append(write_run(runs, TASKS[task], WEIGHTINGS[weighting], seed, metrics))
        robust.append(metrics["test/autoattack/accuracy"])
    for number in range(BROKEN):
        write_broken(runs, number)

    started = time.perf_counter()
    page = run(config(f"runs={runs}", f"output={output}"))
    seconds = time.perf_counter() - started
    size = page.stat().st_size
    with capsys.disabled():
        print(f"\nreport on 200 runs: {seconds:.1f} s, {size / 1e6:.2f} MB")
    assert size < 5e6

    header, *rows = cells(page)
    place = rows.index(list(HEADERS))
    rows, (cosine, *_) = rows[:place], rows[place + 1 :]
    linear, ranked = pearsonr(robust, cosines), spearmanr(robust, cosines)
    assert cosine[:4] == ["cosine of the objectives in training", "all", "190", f"{linear.statistic:.2f}"]
    assert cosine[5:7] == [f"{linear.pvalue:.3f}", f"{ranked.statistic:.2f}"]
    assert header[2:] == [
        "clean accuracy (%)", "clean mean absolute error", "PGD-20 accuracy (%)", "AutoAttack accuracy (%)",
    ]  # fmt: skip
    columns = ["test/clean/accuracy", "test/clean/mae", "test/pgd20/accuracy", "test/autoattack/accuracy"]
    assert len(rows) == len(expected)
    means: dict[str, list[float]] = {name: [] for name in columns}
    for label, seeds, *texts in rows:
        task, weighting = (word.partition("=")[2] for word in label.split())
        runs_of_setting = expected.pop((task, weighting))
        assert int(seeds) == len(runs_of_setting)
        for text, name in zip(texts, columns, strict=True):
            values = np.array([metrics[name] for metrics in runs_of_setting])
            scale, digits = (1, 3) if name.endswith("mae") else (100, 1)
            assert text == f"{scale * values.mean():.{digits}f} ± {scale * values.std(ddof=1):.{digits}f}"
            means[name].append(float(values.mean()))
    assert not expected

    html = page.read_text(encoding="utf-8")
    left_out = re.findall(r"<li>([^<]*)</li>", html)
    assert sorted(Path(line.partition(": ")[0]).name for line in left_out) == [f"broken-{n}" for n in range(BROKEN)]
    assert "190 trainings and 0 evaluations of 19 settings; 10 runs left out." in html
    assert "12.3" not in html, "a figure of the other checkpoint"
    assert html.count("<img ") == html.count('src="data:image/') == 1 + 2 + 6 + 3 + 6
    bold = re.findall(r'<td class="best[^>]*>([^<]*)<', html)
    best = {name: min(values) if name.endswith("mae") else max(values) for name, values in means.items()}
    assert {f"{100 * best[name]:.1f}" for name in columns if not name.endswith("mae")} <= {
        text.split(" ±")[0] for text in bold
    }

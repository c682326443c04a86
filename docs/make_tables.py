"""Generates the tables and counts of the documentation from the kept results and ``conf/``: ``make tables``.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``, NAME being a key of :data:`PARTS`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import cifar10_few_labels
import findings
from benchmarks.commands import ENGINES
from benchmarks.derivative import DISPLACEMENTS

from benchmarks import few_labels, few_labels_curve
from benchmarks import report as benchmarks
from gat_lightning.config.files import find_conf
from gat_lightning.evaluation.statistics import MeanStd
from gat_lightning.reporting.groups import Group, comparable, group
from gat_lightning.reporting.records import Record, collect
from gat_lightning.reporting.results import Results, results
from gat_lightning.reporting.tables import markdown, table_lines
from gat_lightning.runs.metric_names import MetricName

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PART = re.compile(r"(<!-- generated: (\w+) -->)(.*?)(<!-- end -->)", re.DOTALL)


def updated(text: str) -> str:
    """A page with its parts generated anew.

    Raises:
        KeyError: a part is named that :data:`PARTS` does not have.
    """
    return PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}{part[4]}", text)


@cache
def kept(runs: str) -> Results:
    """The results of kept runs on one data set under one threat, as a report has them.

    Args:
        runs: a folder below ``results/``.
    """
    records, unusable = collect([Path("results") / runs])  # relative, as the results name their checkpoints
    if unusable or not records:
        raise ValueError(f"results/{runs} has no results, or some that a report cannot use: {unusable}")
    (only,) = results(comparable(group(records)), "best")
    return only


def result(path: str) -> dict[str, Any]:
    """The ``result.json`` of a kept run, by its path below ``results/``."""
    return json.loads((ROOT / "results" / path / "result.json").read_text())


def trained(setting: Group) -> Record:
    """The only training of a setting."""
    (record,) = (record for record in setting.records if not record.is_evaluation)
    return record


def interval(setting: Group, view: str) -> str:
    """The 95 % interval of the best checkpoint's accuracy, from the only evaluation of a setting: ``10.6 to 14.7``."""
    (evaluation,) = (record.result for record in setting.records if record.is_evaluation)
    low, high = evaluation.intervals["best"][f"test/{view}/accuracy"]
    return f"{100 * low:.1f} to {100 * high:.1f}"


def robust_accuracy(setting: Group) -> MeanStd | None:
    """Accuracy of the best checkpoints under AutoAttack, in percent, over the seeds."""
    found = setting.summary(MetricName("test", "autoattack", "accuracy"), "best")
    return found and MeanStd(100 * found.mean, 100 * found.std, found.n)


def _accuracies(metrics: dict[str, float], *views: str) -> list[str]:
    return [f"{100 * metrics[f'test/{view}/accuracy']:.1f} %" for view in views]


def _table(rows: Sequence[Sequence[str]]) -> str:
    return f"\n{table_lines(rows)}"


def _report(runs: str) -> str:
    found = kept(runs)
    return f"\n{markdown(found.summary)}\n{found.text}\n"


def _demo() -> str:
    labels = {
        "quickstart_undefended": "undefended",
        "quickstart_adversarial": "adversarial training, one task",
        "quickstart": "GAT, macro classes + rotation, `weighting=mgda_floor`",
    }
    config = result("demo/quickstart")["config"]
    conditions = (
        f"ε = {config['test']['attack']['eps']}, {config['trainer']['max_epochs']} epochs, seed {config['seed']}"
    )
    rows = [[f"model (digits, {conditions})", "clean", "PGD-20", "seconds"]]
    for run, label in labels.items():
        found = result(f"demo/{run}")
        accuracies = _accuracies(found["metrics"]["best"], "clean", "pgd20")
        rows.append([label, *accuracies, f"{found['durations']['total']:.0f}"])
    return _table(rows)


def _measured() -> str:
    both = "task=macro+rotation"
    labels = {  # in the reports on both, whose base settings differ
        "task=none": ("task=none", "task=none weighting=mgda"),
        "task=macro": ("task=macro", "task=macro weighting=mgda"),
        "task=rotation": ("task=rotation", "task=rotation weighting=mgda"),
        "task=jigsaw": ("", "task=jigsaw weighting=mgda"),
        both: ("base setting", "weighting=mgda"),
        f"{both} weighting=equal": ("weighting=equal", "base setting"),
        f"{both} weighting=mgda_floor": ("weighting=mgda_floor", "weighting=mgda_floor"),
    }
    digits, cifar10 = ({each.label: each for each in kept(runs).groups} for runs in ("digits", "cifar10_10pct"))
    rows = [["setting", "digits, 3 seeds: mean ± standard deviation", "10 % of CIFAR-10, 1 seed: 95 % interval"]]
    for setting, (on_digits, on_cifar10) in labels.items():
        mean = robust_accuracy(digits[on_digits]) if on_digits else None
        rows.append(
            [f"`{setting}`", mean.text(1) if mean else "not measured", interval(cifar10[on_cifar10], "autoattack")]
        )
    return _table(rows)


def _findings() -> str:
    return _table(findings.table(kept))


def _digits_cost() -> str:
    seconds = {each.label: trained(each).result.durations["train"] for each in kept("digits_cost").groups}
    rows = [[label, f"{each:.0f}", f"{each / seconds['task=none']:.1f}"] for label, each in seconds.items()]
    return _table([["setting", "seconds", "times one task"], *rows])


CIFAR10_COLUMNS = ["clean", "PGD-20", "AutoAttack", "best epoch", "last: clean / PGD-20"]


def _cifar10_cells(setting: Group) -> list[str]:
    metrics = trained(setting).result.metrics
    last = " / ".join(f"{100 * metrics['last'][f'test/{view}/accuracy']:.1f}" for view in ("clean", "pgd20"))
    intervals = [interval(setting, view) for view in ("clean", "pgd20", "autoattack")]
    return [*intervals, str(metrics["best"]["epoch"]), last]


def _cifar10_intervals() -> str:
    rows = [[each.label, *_cifar10_cells(each)] for each in kept("cifar10_10pct").groups]
    return _table([["setting", *CIFAR10_COLUMNS], *rows])


def _cifar10_fast() -> str:
    """The only kept run with ``engine=fast``, and that of the same settings with ``engine=exact``."""
    (fast,) = kept("fast_cifar10").groups
    (exact,) = (each for each in kept("cifar10_10pct").groups if each.label == "weighting=mgda_floor")
    rows = [[label, *_cifar10_cells(each)] for label, each in (("engine=fast", fast), ("engine=exact", exact))]
    return _table([["setting", *CIFAR10_COLUMNS], *rows])


def _overfitting() -> str:
    rows = [["`last.ckpt`, 1,000 test images", "epochs", "clean", "FGSM", "PGD-20"]]
    for run in ("without_guard", "with_guard"):
        scores = _accuracies(result(f"overfitting/{run}-evaluated")["metrics"]["last"], "clean", "fgsm", "pgd20")
        rows.append([run.replace("_", " the "), str(result(f"overfitting/{run}")["epochs"]), *scores])
    return _table(rows)


def _measured_speed(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def _benchmark(name: str, *groups: str) -> str:
    """The rows of these groups, of all where none are named."""
    found = _measured_speed(name)
    chosen = [row for row in found["rows"] if not groups or row["group"] in groups]
    return f"\n`{found['command']}`\n\n{benchmarks.markdown(found | {'rows': chosen})}"


def _whole_commands() -> str:
    """Ratios and seconds of whole trainings."""
    rows = [["seconds of the whole command", *(f"`engine={engine}`" for engine in ENGINES)]]
    for row in _measured_speed("command")["rows"]:
        seconds = [f"{row['detail'][engine]['wall']:.0f}" for engine in ENGINES]
        rows.append([row["what"].partition(":")[0], *seconds])
    return f"{_benchmark('command')}\n{table_lines(rows)}"


def _differences() -> str:
    found = _measured_speed("cpu")
    (row,) = (row for row in found["rows"] if row["group"] == "differences")
    lengths = [f"h = {length:g}" for length in DISPLACEMENTS]
    rows = [["differences", *lengths]]
    for scheme in ("forward", "central"):
        cells = [row["detail"][f"{scheme}, {length}"] for length in lengths]
        rows.append([scheme, *(f"{each['relative error']:.2f} / {each['cosine']:.2f}" for each in cells)])
    return f"\n`{found['command']}`\n\n{table_lines(rows)}"


def _few_labels(rows: Callable[..., list[list[str]]], task: str | None) -> str:
    found = json.loads((ROOT / few_labels.COMPARED).read_text())
    return _table(rows(found, 10, task))


def _few_labels_cifar10(rows: Callable[[], list[list[str]]]) -> str:
    return _table(rows())


def _few_labels_curve() -> str:
    return _table(few_labels_curve.table())


def _listing(name: str) -> str:
    found = (ROOT / "results" / f"{name}.txt").read_text()
    return f"\n```text\n{found}```\n"


def _runs(name: str) -> str:
    """A listing of runs in which long states are cut, so that its lines have at most 100 columns."""
    lines = (ROOT / "results" / f"{name}.txt").read_text().splitlines()
    end = lines[0].index("job")
    room = 100 - max(map(len, lines)) + end
    cut = (line[:end].rstrip() for line in lines)
    states = (text if len(text) <= room - 2 else f"{text[: room - 3].rstrip()}…" for text in cut)
    rows = [f"{state:{min(room, end)}}{line[end:]}".rstrip() for state, line in zip(states, lines, strict=True)]
    return "\n```text\n" + "\n".join(rows) + "\n```\n"


def _number_of_options(group: str) -> str:
    return str(len(list((find_conf() / group).glob("*.yaml"))))


PARTS: dict[str, Callable[[], str]] = {
    "demo": _demo,
    "findings": _findings,
    "measured": _measured,
    "number_of_methods": partial(_number_of_options, "method"),
    "number_of_weightings": partial(_number_of_options, "weighting"),
    "digits": partial(_report, "digits"),
    "digits_cost": _digits_cost,
    "cifar10_10pct": partial(_report, "cifar10_10pct"),
    "cifar10_intervals": _cifar10_intervals,
    "cifar10_fast": _cifar10_fast,
    "methods": partial(_report, "methods"),
    "digits_fast": partial(_report, "fast"),
    "digits_less": partial(_report, "less"),
    "overfitting": _overfitting,
    "first_run": partial(_listing, "first_run/printed"),
    "runs_before": partial(_runs, "slurm/before"),
    "runs_during": partial(_runs, "slurm/during"),
    "runs_left": partial(_runs, "slurm/left"),
    "runs_after": partial(_runs, "slurm/after"),
    "step": partial(_benchmark, "cpu", "step", "arithmetic", "wide", "memory"),
    "parts": partial(_benchmark, "cpu", "weighting", "transforms", "representation", "solvers"),
    "fast": partial(_benchmark, "cpu", "fast", "compiled"),
    "less": partial(_benchmark, "cpu", "less", "consistency"),
    "autoattack": partial(_benchmark, "autoattack"),
    "command": _whole_commands,
    "differences": _differences,
    "few_labels": partial(_few_labels, few_labels.accuracies, "none"),
    "few_labels_differences": partial(_few_labels, few_labels.differences, "none"),
    "few_labels_cifar10": partial(_few_labels_cifar10, cifar10_few_labels.table),
    "few_labels_cifar10_small": partial(_few_labels_cifar10, cifar10_few_labels.table_of_small_net),
    "few_labels_curve": _few_labels_curve,
    "tasks_unlabeled": partial(_few_labels, few_labels.accuracies, None),
    "tasks_unlabeled_differences": partial(_few_labels, few_labels.differences, None),
}
"""What generates each part."""


def main() -> None:
    """Write the pages that change, and name them."""
    os.chdir(ROOT)
    for page in PAGES:
        before = page.read_text()
        after = updated(before)
        if after != before:
            page.write_text(after)
            print(f"Changed {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

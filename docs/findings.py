"""What the kept results show: differences under AutoAttack with 95 % intervals, for the head of docs/results.md."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks import few_labels
from gat_lightning.reporting.results import Results
from gat_lightning.runs.metric_names import MetricName

Kept = Callable[[str], Results]
"""The results of the runs in a folder below ``results/``."""

Interval = tuple[float, float, float]
"""A difference in points, and the ends of its 95 % interval."""

ROOT = Path(__file__).parents[1]
_SCORE = MetricName("test", "autoattack", "accuracy")
_METHODS = "[digits](#digits-training-methods)"
_FACTORS = "[digits](#digits-gat-one-factor-at-a-time)"


class Finding(NamedTuple):
    """A row of the table.

    Attributes:
        words: what is found.
        first: words of the setting that is compared.
        second: words of the setting that it is compared with.
        table: link to the table of the runs.
        runs: folder of the runs below ``results/``, or a comparison there, without its suffix.
        settings: names of the two settings there.
    """

    words: str
    first: str
    second: str
    table: str
    runs: str
    settings: tuple[str, str]


FINDINGS = (
    Finding(
        "Adversarial training makes the difference", "`method=madry`", "`method=standard`",
        _METHODS, "methods", ("base setting", "method=standard"),
    ),
    Finding(
        "Algorithm 1 as published is less robust than one task", "GAT, `data.views=shared`", "one task",
        _FACTORS, "digits", ("data.views=shared", "task=none"),
    ),
    Finding(
        "Separate input views help, but not enough", "GAT, `data.views=separate`", "one task",
        _FACTORS, "digits", ("base setting", "task=none"),
    ),
    Finding(
        "A floor for the target's weight and steps of full length close the gap",
        "GAT, `weighting=mgda_floor`", "GAT, `weighting=mgda`",
        _FACTORS, "digits", ("weighting=mgda_floor", "base setting"),
    ),
    Finding(
        "**With the floor, GAT is not shown to be more robust than one task**", "GAT, `weighting=mgda_floor`",
        "one task", _FACTORS, "digits", ("weighting=mgda_floor", "task=none"),
    ),
    Finding(
        "**Nor is it on 10 % of CIFAR-10**, with a small network", "GAT, `weighting=mgda`", "one task",
        "[CIFAR-10](#a-tenth-of-cifar-10)", "cifar10_compared/seed0", ("macro_rotation", "one_task"),
    ),
    Finding(
        "Under MGDA curvature objectives have no measurable effect", "`curvature.mode=objective`",
        "`curvature.mode=off`", _FACTORS, "digits", ("base setting", "curvature.mode=off"),
    ),
    Finding(
        "With equal weights curvature objectives do harm", "`curvature.mode=objective`", "`curvature.mode=off`",
        _FACTORS, "digits", ("weighting=equal", "weighting=equal curvature.mode=off"),
    ),
    Finding(
        "Replaying batches is more robust than the default method", "`method=free`", "`method=madry`",
        _METHODS, "methods", ("method=free", "base setting"),
    ),
    Finding(
        "Images without labels help where labels are few", "`unlabeled.mode=both`", "`method=trades`",
        "[few labels](unlabeled.md#digits)", "few_labels_compared/digits", ("both", "trades"),
    ),
    Finding(
        "Also with 1,000 labels of CIFAR-10, and a ResNet-18 of width 16", "`unlabeled.mode=pseudo_label`",
        "`method=adversarial`", "[few labels](unlabeled.md#cifar-10)", "few_labels_compared/cifar10",
        ("pseudo_label", "adversarial"),
    ),
    Finding(
        "The same with another seed", "`unlabeled.mode=pseudo_label`", "`method=adversarial`",
        "[few labels](unlabeled.md#cifar-10)", "few_labels_compared/cifar10_seed1", ("pseudo_label", "adversarial"),
    ),
    Finding(
        "**Auxiliary tasks on these images gain next to nothing**",
        "macro classes and rotation, `weighting=mgda_floor`", "none",
        "[few labels](unlabeled.md#auxiliary-tasks)", "few_labels_compared/digits",
        ("both task=macro+rotation weighting=mgda_floor", "both"),
    ),
    Finding(
        "With equal weights they cost robustness", "macro classes and rotation, `weighting=equal`", "none",
        "[few labels](unlabeled.md#auxiliary-tasks)", "few_labels_compared/digits",
        ("both task=macro+rotation weighting=equal", "both"),
    ),
)  # fmt: skip


def table(kept: Kept) -> list[list[str]]:
    """The findings as rows."""
    rows = [["finding", "comparison", "points", "95 % interval", "data"]]
    for each in FINDINGS:
        mean, low, high = interval(each, kept)
        compared = f"{each.first} against {each.second}"
        rows.append([each.words, compared, f"{mean:+.1f}", f"{low:+.1f} to {high:+.1f}", each.table])
    return rows


def interval(finding: Finding, kept: Kept) -> Interval:
    """The difference between the two settings of a finding, over seeds, or over images where there is one seed."""
    compared = ROOT / "results" / f"{finding.runs}.json"
    if compared == ROOT / few_labels.COMPARED:
        return _few_labels(*finding.settings)
    return over_images(finding.settings, compared) if compared.is_file() else _with_interval(_of_seeds(finding, kept))


def over_images(settings: tuple[str, str], compared: Path) -> Interval:
    """The difference between two evaluations over the images, from what ``compare`` wrote."""
    pairs = json.loads(compared.read_text())["pairs"]
    (pair,) = (each for each in pairs if (each["second"], each["first"]) == settings)
    same = pair["both_right"] + pair["both_wrong"]
    counts = [pair["only_second_right"], pair["only_first_right"], same]
    return _with_interval(100 * np.repeat([1.0, -1.0, 0.0], counts))


def _with_interval(gained: NDArray[np.float64]) -> Interval:
    low, high = stats.ttest_1samp(gained, 0.0).confidence_interval(0.95)
    return float(gained.mean()), float(low), float(high)


def _of_seeds(finding: Finding, kept: Kept) -> NDArray[np.float64]:
    """Differences of the best checkpoints' accuracies in points, seed by seed."""
    scores = {each.label: each.values(_SCORE, "best") for each in kept(finding.runs).groups}
    first, second = (scores[setting] for setting in finding.settings)
    return 100 * np.array([first[seed] - second[seed] for seed in sorted(first)])


def _few_labels(first: str, second: str) -> Interval:
    """The difference of two arms' last checkpoints with ten labels a class, as their study has it."""
    pairs = json.loads((ROOT / few_labels.COMPARED).read_text())["differences"]
    wanted = ((first, 10, "last"), (second, 10, "last"))
    (pair,) = (pair for pair in pairs if (_told(pair["first"]), _told(pair["second"])) == wanted)
    low, high = pair["seeds"]
    return pair["mean"], low, high


def _told(arm: dict[str, Any]) -> tuple[str, int, str]:
    return few_labels.words(arm), arm["labels"], arm["checkpoint"]

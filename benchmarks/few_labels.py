"""Differences between the arms of the studies of few labels on digits.

``python -m benchmarks.few_labels`` reads the evaluations under results/few_labels_digits and results/tasks_unlabeled,
whose commands are in docs/unlabeled.md, and writes results/few_labels_compared/digits.json.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.evaluation.statistics import mean_std
from gat_lightning.reporting.records import Record, collect

STUDIES = (Path("results/few_labels_digits"), Path("results/tasks_unlabeled"))
COMPARED = Path("results/few_labels_compared/digits.json")
VIEW = "autoattack"
LABELLED, CLASSES = 1437, 10
ALL = round(LABELLED / CLASSES)
BASELINES = ("adversarial", "trades", "mart", "awp")
FEWEST_SEEDS = 3
"""With fewer, an interval over the seeds says nothing."""

_DRAWS = 10_000

Right = Mapping[int, NDArray[np.bool_]]
"""Mask of the images that withstood the attack, bool ``[n]``, by seed."""


class Arm(NamedTuple):
    """One arm of a study.

    Attributes:
        name: its option of ``recipe/arm``.
        labels: labels a class, those of validation images among them.
        task: auxiliary tasks.
        weighting: the weighting; that of an arm without tasks weighs nothing.
        checkpoint: ``best`` or ``last``.
    """

    name: str
    labels: int
    task: str
    weighting: str
    checkpoint: str


def evaluated(folders: Sequence[Path] = STUDIES) -> dict[Arm, dict[int, Record]]:
    """The evaluations of every arm, by seed."""
    found: defaultdict[Arm, dict[int, Record]] = defaultdict(dict)
    records, _ = collect([folder for folder in folders if folder.is_dir()])
    for record in records:
        if record.is_evaluation:
            found[_arm(record)][record.seed] = record
    return dict(found)


def difference(first: Right, second: Right, draws: int = _DRAWS) -> dict[str, float | list[float]]:
    """Mean difference of two arms' accuracies over the seeds that both have, in points, with two 95 % intervals.

    Returns:
        ``mean``; ``seeds``, of Student's t over the seeds' differences, which is about other draws of labels and
        weights; ``seeds_and_images``, of a bootstrap over both, which is about other test images too.
    """
    seeds = sorted(first.keys() & second.keys())
    gained = np.stack([first[seed].astype(float) - second[seed].astype(float) for seed in seeds])
    means = 100 * gained.mean(1)
    half = float(stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means)))
    generator = np.random.default_rng(0)
    rows, columns = gained.shape
    of_seeds = generator.multinomial(rows, np.full(rows, 1 / rows), draws)
    of_images = generator.multinomial(columns, np.full(columns, 1 / columns), draws)
    resampled = 100 * np.einsum("bs,sn,bn->b", of_seeds, gained, of_images, optimize=True) / gained.size
    return {
        "mean": float(means.mean()),
        "seeds": [float(means.mean()) - half, float(means.mean()) + half],
        "seeds_and_images": [float(end) for end in np.quantile(resampled, [0.025, 0.975])],
    }


def compared(found: Mapping[Arm, Mapping[int, Record]]) -> dict[str, Any]:
    """The accuracies of every arm, seed by seed, and the differences that docs/unlabeled.md is about."""
    arms = []
    for arm, of in sorted(found.items()):
        seeds = sorted(of)
        views = {view: [_accuracy(of[seed], view) for seed in seeds] for view in ("clean", "pgd20", VIEW)}
        arms.append({**arm._asdict(), "seeds": seeds, **views})
    right = {arm: {seed: _right(each) for seed, each in of.items()} for arm, of in found.items() if _is_repeated(of)}
    differences = [
        {"first": first._asdict(), "second": second._asdict(), **difference(right[first], right[second])}
        for first, second in pairs(right)
        if _is_repeated(right[first].keys() & right[second].keys())
    ]
    return {"command": "python -m benchmarks.few_labels", "view": VIEW, "arms": arms, "differences": differences}


def _is_repeated(seeds: Collection[int]) -> bool:
    return len(seeds) >= FEWEST_SEEDS


def pairs(right: Mapping[Arm, Right]) -> Iterator[tuple[Arm, Arm]]:
    """Arms that are compared: each mode with each baseline, all labels and the modes after it; tasks with none."""
    for arm in sorted(right):
        alone = arm._replace(task="none", weighting="equal")
        if arm != alone:
            others = [alone]
        elif arm.name in BASELINES:
            continue
        else:
            everything = arm._replace(name="adversarial", labels=ALL)
            modes = sorted({each.name for each in right if each.name > arm.name} - set(BASELINES))
            others = [*(arm._replace(name=name) for name in (*BASELINES, *modes)), everything]
        yield from ((arm, other) for other in others if other in right)


def accuracies(found: Mapping[str, Any], labels: int, task: str | None = "none") -> list[list[str]]:
    """A row for each arm with that many labels a class: accuracies of its checkpoints in percent, over the seeds.

    Args:
        found: content of the file.
        labels: labels a class.
        task: auxiliary tasks of the arms; None: the arms with any.
    """
    rows = []
    arms = [arm for arm in found["arms"] if arm["labels"] == labels and _has(arm, task)]
    for arm in sorted(arms, key=lambda arm: -float(np.mean(arm[VIEW]))):
        cells = [mean_std(arm[view]).text(1) for view in ("clean", "pgd20", VIEW)]
        rows.append([f"`{words(arm)}`", f"`{arm['checkpoint']}`", str(len(arm["seeds"])), *cells])
    return [["arm", "checkpoint", "seeds", "clean", "PGD-20", "AutoAttack"], *rows]


def differences(found: Mapping[str, Any], labels: int, task: str | None = "none") -> list[list[str]]:
    """A row for each comparison of arms with that many labels a class, as :func:`accuracies` selects them.

    Of the baselines there is only the best one, by its mean, which favours it.
    """
    rows = []
    for each in found["differences"]:
        if each["first"]["labels"] == labels and _has(each["first"], task) and not _is_beaten(each["second"], found):
            other = f"`{words(each['second'])}`{', all labels' if each['second']['labels'] == ALL else ''}"
            ends = [" to ".join(f"{end:+.1f}" for end in each[key]) for key in ("seeds", "seeds_and_images")]
            rows.append(
                [f"`{words(each['first'])}`", other, f"`{each['first']['checkpoint']}`", f"{each['mean']:+.1f}", *ends]
            )
    return [["arm", "against", "checkpoint", "points", "95 % over seeds", "over seeds and images"], *rows]


def _is_beaten(arm: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether another baseline with as many labels has a higher mean."""
    if arm["name"] not in BASELINES or arm["labels"] == ALL:
        return False
    same = [each for each in found["arms"] if all(each[key] == arm[key] for key in ("labels", "task", "checkpoint"))]
    means = {each["name"]: float(np.mean(each[VIEW])) for each in same if each["name"] in BASELINES}
    return means[arm["name"]] < max(means.values())


def _has(arm: Mapping[str, Any], task: str | None) -> bool:
    return arm["task"] != "none" if task is None else bool(arm["task"] == task)


def words(arm: Mapping[str, Any]) -> str:
    """What tells an arm from others with as many labels: ``both task=macro weighting=equal``."""
    if arm["task"] == "none":
        return str(arm["name"])
    return f"{arm['name']} task={arm['task']} weighting={arm['weighting']}"


def _accuracy(record: Record, view: str) -> float:
    (metrics,) = record.result.metrics.values()
    return 100 * metrics[f"test/{view}/accuracy"]


def _right(record: Record) -> NDArray[np.bool_]:
    return Predictions.load(record.directory / "predictions.npz").views[VIEW].correct


def _arm(record: Record) -> Arm:
    config = record.configuration
    checkpoint = Path(str(record.result.config["checkpoint"])).stem
    labels = round(config["data"]["fraction"] * LABELLED / CLASSES)
    task = "+".join(sorted(config["task"])) or "none"
    weighting = _typed(record, "weighting") or "equal"
    return Arm(typed_arm(record), labels, task, weighting, checkpoint)


def typed_arm(record: Record) -> str:
    """The option of ``recipe/arm`` that a run, or the training of an evaluation, was given."""
    return _typed(record, "recipe/arm") or "adversarial"


def _typed(record: Record, setting: str) -> str | None:
    found = re.search(rf"(?<!\S){setting}=(\w+)", " ".join(record.overrides or ()))
    return found and found[1]


def main() -> None:
    """Write accuracies and differences."""
    found = compared(evaluated())
    COMPARED.parent.mkdir(exist_ok=True)
    COMPARED.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""``predictions.npz``: the outcome of every image under every test condition, and the metrics with their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple, cast, get_args

import numpy as np
from numpy.typing import NDArray

from gat_lightning.data.npz import read_npz
from gat_lightning.errors import UserError
from gat_lightning.evaluation.doubts import OutputCheck
from gat_lightning.evaluation.outcomes import Outcomes, auroc, check_outputs, measure
from gat_lightning.evaluation.statistics import accuracy_interval, bootstrap_interval
from gat_lightning.evaluation.traces import Trace
from gat_lightning.files import atomic_write
from gat_lightning.runs.metric_names import MetricName
from gat_lightning.tasks.base import Kind


@dataclass
class Predictions:
    """Outcomes of one model on one split, without images that lack the target's label.

    The file contains ``index``, ``labels`` and ``kind``, ``groups`` if images belong to patients, and for each view
    ``VIEW/prediction``, ``VIEW/correct``, ``VIEW/loss`` and ``VIEW/score``, all plain arrays. Of an ensemble such as
    AutoAttack it also has ``VIEW/stage`` (see :class:`~gat_lightning.evaluation.traces.Trace`), and with one value for
    each stage ``VIEW/stage_attack``, ``VIEW/stage_left``, ``VIEW/stage_accuracy`` and ``VIEW/stage_seconds``; of a
    targeted attack ``VIEW/target``.

    Attributes:
        kind: kind of the target.
        index: position of each image in the split, int64 ``[n]``.
        labels: class, int64, or value, float32, ``[n]``.
        views: by name: ``clean``, one per attack, ``worst``, and one per radius of a curve, such as ``pgd20@0.05``.
        groups: patient of each image, numbered from 0 in the order of the images, int64 ``[n]``; None if each image
            stands for itself.
        traces: what was recorded of each attack, by view; only the parts named above are in the file.
    """

    kind: Kind
    index: NDArray[np.int64]
    labels: NDArray[np.generic]
    views: dict[str, Outcomes] = field(default_factory=dict)
    groups: NDArray[np.int64] | None = None
    traces: dict[str, Trace] = field(default_factory=dict)

    @property
    def patients(self) -> int | None:
        """Number of patients; None if each image stands for itself."""
        return None if self.groups is None else len(np.unique(self.groups))

    def checks(self, classes: int) -> dict[str, OutputCheck]:
        """Check the outputs under every test condition, of a target with that number of classes."""
        zero = {view: trace.share_of_zero() for view, trace in self.traces.items()}
        return {
            view: check_outputs(self.kind, outcomes, self.labels, max(classes, 2), zero.get(view))
            for view, outcomes in self.views.items()
        }

    def save(self, path: str | Path) -> None:
        """Write the file atomically."""
        columns = {
            f"{view}/{each.name}": getattr(outcomes, each.name)
            for view, outcomes in self.views.items()
            for each in fields(Outcomes)
        }
        for view, trace in self.traces.items():
            columns |= {f"{view}/{name}": values for name, values in {**trace.columns, **trace.of_stages}.items()}
        groups = {} if self.groups is None else {"groups": self.groups}
        images = {"kind": np.array(self.kind), "index": self.index, "labels": self.labels, **groups}
        write_arrays(Path(path), {**images, **columns}, np.savez_compressed)

    @classmethod
    def load(cls, path: str | Path) -> Predictions:
        """Read a file written by :meth:`save`, without executing code.

        Raises:
            UserError: the file is missing, or was not written by gat_lightning.
        """
        try:
            columns = read_npz(Path(path))
            kind = str(columns.pop("kind"))
            index, labels, groups = columns.pop("index"), columns.pop("labels"), columns.pop("groups", None)
            names = dict.fromkeys(name.rpartition("/")[0] for name in columns)
            views = {name: Outcomes(*(columns[f"{name}/{each.name}"] for each in fields(Outcomes))) for name in names}
        except FileNotFoundError:
            raise UserError(
                f"There are no predictions '{path}'. Evaluations keep theirs in RUN/predictions.npz."
            ) from None
        except (OSError, UserError, ValueError, KeyError, AttributeError) as error:
            raise UserError(f"'{path}' does not hold predictions that gat_lightning wrote.") from error
        if kind not in get_args(Kind):
            raise UserError(f"'{path}' does not hold predictions that gat_lightning wrote.")
        return cls(cast("Kind", kind), index, labels, views, groups)


def consecutive(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The groups, numbered from 0 in the order in which they first appear, so that no patient's number is kept."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return first.argsort().argsort()[group]


def write_arrays(path: Path, arrays: dict[str, NDArray[np.generic]], save: Callable[..., None] = np.savez) -> None:
    """Write an ``.npz`` file atomically."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        save(file, **arrays)


class Scores(NamedTuple):
    """Value of each metric, and its 95 % interval ``[low, high]``."""

    metrics: dict[MetricName, float]
    intervals: dict[MetricName, list[float]]


def score(predictions: Predictions, split: str, seed: int = 0) -> Scores:
    """Compute the metrics of all test conditions, with 95 % intervals over images, or patients where images have them.

    Intervals are Wilson's for accuracy, with the effective number of images over patients, and bootstrap intervals for
    AUROC (within classes) and the mean absolute error, which draw patients where there are any.

    Args:
        predictions: predictions of the evaluation.
        split: split of the predictions, as in ``test/clean/accuracy``.
        seed: seed of the bootstrap.
    """
    scores = Scores({}, {})
    for view, outcomes in predictions.views.items():
        for metric, value in measure(predictions.kind, outcomes, predictions.labels).items():
            name = MetricName(split, view, metric)
            scores.metrics[name] = value
            if not math.isnan(value):
                scores.intervals[name] = list(_interval(metric, outcomes, predictions, seed))
    return scores


def _interval(metric: str, outcomes: Outcomes, predictions: Predictions, seed: int) -> tuple[float, float]:
    labels, groups = predictions.labels, predictions.groups
    if metric == "accuracy":
        return accuracy_interval(outcomes.correct, groups)
    if metric == "auroc":
        return bootstrap_interval(auroc, labels, outcomes.score, strata=labels, groups=groups, seed=seed)
    errors = np.abs(outcomes.score - labels.astype(np.float32))
    return bootstrap_interval(lambda drawn: float(drawn.mean()), errors, groups=groups, seed=seed)

"""Tables of the study of few labels on CIFAR-10, for docs/unlabeled.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.few_labels import typed_arm

from gat_lightning.reporting.records import collect

RUNS = Path("results/few_labels_cifar10")
VIEWS = {"clean": "clean", "pgd20": "PGD-20", "worst": "worst of PGD-20, APGD-CE, APGD-T"}
LABELLED = 5000


class Evaluated(NamedTuple):
    """An evaluated checkpoint; they are ordered as in the tables.

    Attributes:
        labels: number of labels, those of validation images among them.
        arm: its option of ``recipe/arm``.
        seed: seed of the training.
        checkpoint: ``best`` or ``last``.
        cells: accuracies of :data:`VIEWS` in percent, with 95 % intervals over the test images.
    """

    labels: int
    arm: str
    seed: int
    checkpoint: str
    cells: tuple[str, ...]


def evaluated(encoder: str) -> list[Evaluated]:
    """The evaluated checkpoints of an encoder."""
    return sorted(_evaluated(encoder))


def table() -> list[list[str]]:
    """A row for each evaluated checkpoint of the ResNet-18."""
    rows = [[f"`{each.arm}`", str(each.seed), f"`{each.checkpoint}`", *each.cells] for each in evaluated("resnet18")]
    return [["arm", "seed", "checkpoint", *VIEWS.values()], *rows]


def table_of_small_net() -> list[list[str]]:
    """A row for each evaluated checkpoint of the small net, which has several numbers of labels and one seed."""
    rows = [[f"{each.labels:,}", f"`{each.arm}`", f"`{each.checkpoint}`", *each.cells] for each in evaluated("small")]
    return [["labels", "arm", "checkpoint", *VIEWS.values()], *rows]


def _evaluated(encoder: str) -> Iterator[Evaluated]:
    for record in collect([RUNS])[0]:
        config = record.configuration
        if record.is_evaluation and config["encoder"]["_target_"].endswith(encoder):
            ((checkpoint, metrics),) = record.result.metrics.items()
            labels = round(config["data"]["fraction"] * LABELLED)
            cells = _cells(metrics, record.result.intervals[checkpoint])
            yield Evaluated(labels, typed_arm(record), record.seed, checkpoint, tuple(cells))


def _cells(metrics: Mapping[str, float], intervals: Mapping[str, Sequence[float]]) -> Iterator[str]:
    for view in VIEWS:
        metric = f"test/{view}/accuracy"
        low, high = intervals[metric]
        yield f"{100 * metrics[metric]:.1f} ({100 * low:.1f} to {100 * high:.1f})"

"""Tables of the study of few labels on CIFAR-10, for docs/unlabeled.md."""

from __future__ import annotations

from pathlib import Path

from benchmarks.few_labels import typed_arm

from gat_lightning.reporting.records import Record, collect

RUNS = Path("results/few_labels_cifar10")
VIEWS = {"clean": "clean", "pgd20": "PGD-20", "worst": "worst of PGD-20, APGD-CE, APGD-T"}
_LABELLED = 5000
"""Labelled images of cifar10_10pct.npz, of which ``data.fraction`` takes a part."""


def table(encoder: str) -> list[list[str]]:
    """A row for each evaluated checkpoint, with 95 % intervals over the test images in percent.

    Args:
        encoder: name of the encoder's function.
    """
    evaluations = [record for record in collect([RUNS])[0] if record.is_evaluation]
    of_encoder = [each for each in evaluations if each.configuration["encoder"]["_target_"].endswith(f".{encoder}")]
    rows = (_row(record, *record.result.metrics.items()) for record in sorted(of_encoder, key=_place))
    return [["labels", "arm", "seed", "checkpoint", *VIEWS.values()], *rows]


def _place(record: Record) -> tuple[int, str, int, list[str]]:
    return _labels(record), typed_arm(record), record.seed, list(record.result.metrics)


def _row(record: Record, evaluated: tuple[str, dict[str, float]]) -> list[str]:
    checkpoint, metrics = evaluated
    cells = []
    for view in VIEWS:
        metric = f"test/{view}/accuracy"
        low, high = record.result.intervals[checkpoint][metric]
        cells.append(f"{100 * metrics[metric]:.1f} ({100 * low:.1f} to {100 * high:.1f})")
    return [f"{_labels(record):,}", f"`{typed_arm(record)}`", str(record.seed), f"`{checkpoint}`", *cells]


def _labels(record: Record) -> int:
    """Labels of training and validation images."""
    return round(record.configuration["data"]["fraction"] * _LABELLED)

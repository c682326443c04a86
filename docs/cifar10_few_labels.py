"""Tables of the study of few labels on CIFAR-10, for docs/unlabeled.md."""

from __future__ import annotations

from pathlib import Path

from benchmarks.few_labels import typed_arm

from gat_lightning.reporting.records import Record, collect

RUNS = Path("results/few_labels_cifar10")
VIEWS = {"clean": "clean", "pgd20": "PGD-20", "worst": "worst of PGD-20, APGD-CE, APGD-T"}


def table() -> list[list[str]]:
    """A row for each evaluated checkpoint, with 95 % intervals over the test images in percent."""
    rows = [_row(record, *record.result.metrics.items()) for record in collect([RUNS])[0] if record.is_evaluation]
    return [["arm", "seed", "checkpoint", *VIEWS.values()], *sorted(rows)]


def _row(record: Record, evaluated: tuple[str, dict[str, float]]) -> list[str]:
    checkpoint, metrics = evaluated
    cells = []
    for view in VIEWS:
        metric = f"test/{view}/accuracy"
        low, high = record.result.intervals[checkpoint][metric]
        cells.append(f"{100 * metrics[metric]:.1f} ({100 * low:.1f} to {100 * high:.1f})")
    return [f"`{typed_arm(record)}`", str(record.seed), f"`{checkpoint}`", *cells]

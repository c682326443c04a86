"""Over how many test images figures are."""

from __future__ import annotations

from collections.abc import Sequence

from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.tables import header
from gat_lightning.runs.metric_names import MetricName


def image_counts(groups: Sequence[Group], metrics: Sequence[MetricName], checkpoint: str) -> str:
    """One sentence where the figures of all metrics are over as many images; else what those of each are over."""
    whole = _whole_split(groups, checkpoint)
    seen: dict[MetricName, set[int | None]] = {}
    for metric in metrics:
        counts = {count for each in groups for count in each.images(metric, checkpoint).values()}
        seen[metric] = {whole if count is None else count for count in counts}
    everywhere = set().union(*seen.values())
    if everywhere <= {None}:
        return "All figures are over the whole test split; the runs do not say how many images it has."
    if len(everywhere) == 1:
        (count,) = everywhere
        of_all = f" of the {whole:,}" if whole not in (None, count) else ""
        return f"All figures are over {count:,}{of_all} test images."
    texts = [f"{header(metric)}: {_listed(numbers)}" for metric, numbers in seen.items()]
    return f"Not all figures are over the same test images; {'; '.join(texts)}."


def _whole_split(groups: Sequence[Group], checkpoint: str) -> int | None:
    """How many images the test split has; None where no run says so, or some say otherwise."""
    records = [record for each in groups for record in each.records if record.scores(checkpoint)]
    known = {record.images for record in records if not record.is_limited and record.images is not None}
    return known.pop() if len(known) == 1 else None


def _listed(counts: set[int | None]) -> str:
    numbers = [f"{count:,}" for count in sorted(count for count in counts if count is not None)]
    return " or ".join([*numbers, *(["all"] if None in counts else [])])

"""Table of a report: a row per setting, a column per metric, in each cell a mean with its interval."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gat_lightning.evaluation.statistics import Interval, MeanStd
from gat_lightning.reporting.columns import columns, robust_metric
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.intervals import interval
from gat_lightning.reporting.ties import best
from gat_lightning.reporting.words import counted, metric_words
from gat_lightning.runs.metric_names import MetricName


@dataclass(frozen=True)
class Cell:
    """Cell of a table.

    Attributes:
        summary: mean and standard deviation; None if a setting lacks the metric.
        interval: 95 % interval of the mean; None if unknown.
        best: whether it is the best of its column, or cannot be told from that.
        share: whether it is printed in percent.
        otherwise: the number of seeds where it is not that of the row, and of images where it is not the column's.
    """

    summary: MeanStd | None = None
    interval: Interval | None = None
    best: bool = False
    share: bool = False
    otherwise: str = ""

    @property
    def text(self) -> str:
        """``66.7 ± 1.2`` (in percent for shares); empty if there is none."""
        if self.summary is None:
            return ""
        return MeanStd(self.summary.mean * self._scale, self.summary.std * self._scale, self.summary.n).text(
            self._digits
        )

    @property
    def range(self) -> str:
        """``61.2 to 72.2``; empty if it is unknown."""
        if self.interval is None:
            return ""
        return " to ".join(f"{end * self._scale:.{self._digits}f}" for end in self.interval)

    @property
    def in_full(self) -> str:
        """With the interval where there is one run, and what is otherwise than in the row: ``14.2 (12.2 to 16.5)``."""
        alone = self.range if self.summary is not None and self.summary.n == 1 else ""
        more = "; ".join(filter(None, [alone, self.otherwise]))
        return f"{self.text} ({more})" if more else self.text

    @property
    def _scale(self) -> int:
        return 100 if self.share else 1

    @property
    def _digits(self) -> int:
        return 1 if self.share else 3


@dataclass(frozen=True)
class Column:
    """Column of a table.

    Attributes:
        metric: its metric.
        images: number of images of most of its cells; None if unknown.
        key: whether it is the strongest attack, which the rows are sorted by.
    """

    metric: MetricName
    images: int | None
    key: bool = False

    @property
    def header(self) -> str:
        """``PGD-20 accuracy (%)``."""
        return metric_words(self.metric)


@dataclass(frozen=True)
class Summary:
    """Table of a report.

    Attributes:
        columns: its columns.
        labels: labels of the rows.
        seeds: number of seeds of each row.
        cells: cells, row by row.
        seconds: mean time of each row's trainings; None if unknown.
    """

    columns: list[Column]
    labels: list[str]
    seeds: list[int]
    cells: list[list[Cell]]
    seconds: list[float | None]

    @property
    def headers(self) -> list[str]:
        """Headers of the columns."""
        return [column.header for column in self.columns]


def summarise(groups: Sequence[Group], checkpoint: str, view: str | None = None) -> Summary:
    """Table of groups for one checkpoint, in their order.

    Args:
        groups: settings under the same conditions.
        checkpoint: ``best``, ``last``, ``ema`` or ``swa``.
        view: the attack that counts as the strongest; None: the strongest one that most models have in common.
    """
    key = robust_metric(groups, checkpoint, view)
    shown = [
        Column(metric, _images(groups, metric, checkpoint), metric == key) for metric in columns(groups, checkpoint)
    ]
    bold = [best(groups, column.metric, checkpoint) for column in shown]
    cells = [
        [_cell(each, column, checkpoint, bold[place][number]) for place, column in enumerate(shown)]
        for number, each in enumerate(groups)
    ]
    seeds, seconds = [len(each.seeds) for each in groups], [training_seconds(each) for each in groups]
    return Summary(shown, [each.label for each in groups], seeds, cells, seconds)


def training_seconds(each: Group) -> float | None:
    """Mean time of a setting's trainings, without their test; None if unknown."""
    known = [record.result.durations["train"] for record in each.trainings if "train" in record.result.durations]
    return sum(known) / len(known) if known else None


def _images(groups: Sequence[Group], metric: MetricName, checkpoint: str) -> int | None:
    found = Counter(count for each in groups for count in each.images(metric, checkpoint).values())
    return max(found, key=lambda count: (found[count], count or 0), default=None)


def _cell(each: Group, column: Column, checkpoint: str, bold: bool) -> Cell:
    metric = column.metric
    found, images = each.summary(metric, checkpoint), each.images(metric, checkpoint)
    if found is None:
        return Cell()
    notes = [counted(found.n, "seed")] if found.n != len(each.seeds) else []
    (count,) = set(images.values())
    if count != column.images:
        notes.append("number of images unknown" if count is None else counted(count, "image"))
    return Cell(found, interval(each, metric, checkpoint), bold, metric.is_share, ", ".join(notes))

"""Tables of a report: one row per setting, mean and standard deviation over the seeds, the best in bold."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gat_lightning.evaluation.statistics import MeanStd
from gat_lightning.reporting.groups import Group, columns
from gat_lightning.runs.metric_names import MetricName


@dataclass(frozen=True)
class Cell:
    """Cell of a table.

    Attributes:
        summary: mean and standard deviation; None if a setting lacks the metric.
        best: whether its mean is the best of the column.
        share: whether it is printed in percent.
    """

    summary: MeanStd | None
    best: bool
    share: bool

    @property
    def text(self) -> str:
        """``66.7 ± 1.2`` (in percent for proportions); empty if there is none."""
        if self.summary is None:
            return ""
        scale = 100 if self.share else 1
        return MeanStd(self.summary.mean * scale, self.summary.std * scale, self.summary.n).text(1 if self.share else 3)


@dataclass(frozen=True)
class Summary:
    """Table of a report.

    Attributes:
        metrics: metrics of the columns.
        labels: labels of the rows.
        seeds: number of seeds of each row.
        cells: cells, row by row.
    """

    metrics: list[MetricName]
    labels: list[str]
    seeds: list[int]
    cells: list[list[Cell]]

    @property
    def headers(self) -> list[str]:
        """Column headers of the metrics."""
        return [header(metric) for metric in self.metrics]


def summarise(groups: Sequence[Group], checkpoint: str) -> Summary:
    """Table of groups for one checkpoint."""
    metrics = columns(groups, checkpoint)
    found = [[each.summary(metric, checkpoint) for metric in metrics] for each in groups]
    cells: list[list[Cell]] = [[] for _ in groups]
    for position, metric in enumerate(metrics):
        means = [row[position].mean for row in found if row[position] is not None]  # type: ignore[union-attr]
        best = (min if metric.lower_is_better else max)(means) if len(means) > 1 else None
        for row, summaries in zip(cells, found, strict=True):
            summary = summaries[position]
            row.append(Cell(summary, summary is not None and summary.mean == best, metric.is_share))
    return Summary(metrics, [each.label for each in groups], [len(each.seeds) for each in groups], cells)


def markdown(table: Summary) -> str:
    """Markdown, for a README."""
    rows = [["setting", "seeds", *table.headers]]
    for label, seeds, cells in zip(table.labels, table.seeds, table.cells, strict=True):
        marked = [f"**{cell.text}**" if cell.best else cell.text for cell in cells]
        rows.append([label, str(seeds), *marked])
    return table_lines(rows)


def table_lines(rows: Sequence[Sequence[str]]) -> str:
    """Markdown of a table whose first row is the header."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:]]) + "\n"


def latex(table: Summary) -> str:
    """LaTeX, for a paper: a ``tabular`` with booktabs."""
    lines = [
        "\\begin{tabular}{lr" + "r" * len(table.metrics) + "}",
        "\\toprule",
        " & ".join(["setting", "seeds", *map(_escaped, table.headers)]) + " \\\\",
        "\\midrule",
    ]
    for label, seeds, cells in zip(table.labels, table.seeds, table.cells, strict=True):
        texts = [cell.text.replace("±", "$\\pm$") for cell in cells]
        marked = [f"\\textbf{{{text}}}" if cell.best else text for text, cell in zip(texts, cells, strict=True)]
        lines.append(" & ".join([_escaped(label), str(seeds), *marked]) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def comma_separated(groups: Sequence[Group], checkpoint: str) -> str:
    """All figures as CSV, not rounded: one line per setting, seed and metric; ``images`` is empty if unknown."""
    rows: list[list[object]] = []
    for each in groups:
        for metric in columns([each], checkpoint):
            images = each.images(metric, checkpoint)
            for seed, value in sorted(each.values(metric, checkpoint).items()):
                rows.append([each.label, seed, checkpoint, metric, repr(value), images[seed], each.conditions])
    return as_csv(["setting", "seed", "checkpoint", "metric", "value", "images", "conditions"], rows)


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Comma-separated values with one line per row."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def header(metric: MetricName) -> str:
    """Column header of a metric: ``pgd20 accuracy (%)``."""
    return f"{metric.view} {metric.metric}{' (%)' if metric.is_share else ''}"


def _escaped(text: str) -> str:
    special = {"\\": "\\textbackslash{}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_", "{": "\\{",
               "}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}  # fmt: skip
    return "".join(special.get(letter, letter) for letter in text)

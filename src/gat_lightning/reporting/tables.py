"""The tables of a report as Markdown and as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence

from gat_lightning.reporting.columns import columns
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.summary import Summary
from gat_lightning.runs.telling import duration


def markdown(table: Summary) -> str:
    """Markdown, for a README."""
    timed = any(each is not None for each in table.seconds)
    rows = [["setting", "seeds", *table.headers, *(["training"] if timed else [])]]
    for label, seeds, cells, seconds in zip(table.labels, table.seeds, table.cells, table.seconds, strict=True):
        marked = [f"**{cell.in_full}**" if cell.best else cell.in_full for cell in cells]
        cost = [] if not timed else ["" if seconds is None else duration(seconds)]
        rows.append([label, str(seeds), *marked, *cost])
    return table_lines(rows)


def table_lines(rows: Sequence[Sequence[str]]) -> str:
    """Markdown of a table whose first row is the header."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:]]) + "\n"


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

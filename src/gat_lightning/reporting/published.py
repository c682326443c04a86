"""Report of published and measured numbers side by side."""

import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from hydra.utils import instantiate

from gat_lightning.config.paper import SCALES
from gat_lightning.errors import UserError
from gat_lightning.evaluation.statistics import MeanStd
from gat_lightning.reporting import page
from gat_lightning.reporting.groups import group
from gat_lightning.reporting.paper.measures import CellRuns, Measure, Metric, row_of
from gat_lightning.reporting.paper.published import Column, Published, Row
from gat_lightning.reporting.records import Record
from gat_lightning.reporting.tables import table_lines

_HEADERS = ("row", "column", "published", "measured", "runs", "scale of the runs")
_SCALES = {"full": "full", "small": "small: not the paper's budget", "smoke": "smoke: not comparable"}
_LEGEND = (
    "Published: as the paper prints it. Measured: our runs, mean ± standard deviation over their seeds. Only scale full"
    " has the paper's budget."
)


@dataclass(frozen=True)
class Line:
    """Published cell with its measured value.

    Attributes:
        row: name of the row.
        column: name of the column, with the unit.
        printed: the paper's text; empty if there is none.
        measured: measured value; empty if no run has it.
        runs: number of runs or points behind the measured value.
        scale: scale of the runs, and its significance; empty without runs.
    """

    row: str
    column: str
    printed: str
    measured: str = ""
    runs: int = 0
    scale: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """One cell per column of the report's table."""
        measured = self.measured or "not measured"
        return (self.row, self.column, self.printed or "-", measured, str(self.runs or ""), self.scale)


def runs_of(records: Sequence[Record], table: Published) -> list[Record]:
    """Runs of a table or figure, and runs of others that measure some of its rows.

    Raises:
        UserError: there are no runs; the message says how to create them.
    """
    tables = {*table.tables, *(other for row in table.rows for other in row.elsewhere)}
    found = [record for record in records if _is_of(record, tables)]
    if not found:
        raise UserError(
            f"There is no finished run of {table.id}: make them with python -m gat_lightning.train -m"
            f" experiment=paper/{table.id}, and look at what it costs with dry_run=true first."
        )
    return found


def beside_published(records: Sequence[Record], table: Published, checkpoint: str) -> list[Line]:
    """All cells of a table or figure in order, one line per measured scale.

    Args:
        records: any runs; those of other tables are ignored.
        table: the table or figure.
        checkpoint: checkpoint whose metrics count, ``best`` or ``last``.
    """
    lines = []
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            printed = "" if cell is None else cell.text
            heading = f"{column.name} ({column.unit})" if column.unit else column.name
            found = [
                Line(row.name, heading, printed, text, value.n, _SCALES[scale] + (f" ({note})" if note else ""))
                for scale in SCALES
                for note, value in _measured(records, table, row, column, scale, checkpoint)
                for text in [_written(value, column)]
            ]
            lines += found or [Line(row.name, heading, printed)]
    return lines


def markdown(lines: Sequence[Line], table: Published) -> str:
    """Table, caveats, and the command for values that need an evaluation."""
    rows = table_lines([_HEADERS, *(line.texts for line in lines)])
    parts = [f"## {table.id}: {table.title}", f"{table.data}. {_LEGEND}", rows.rstrip()]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes(lines, table))]) + "\n"


def section(lines: Sequence[Line], table: Published) -> page.Section:
    """The same as a section of the page."""
    html = page.rows(_HEADERS, [line.texts for line in lines])
    intro = f"<p>{escape(table.title)}</p>" + page.note(f"{table.data}. {_LEGEND}")
    return page.Section(f"{table.id} of the paper", intro + html + page.listed(notes(lines, table)))


def notes(lines: Sequence[Line], table: Published) -> list[str]:
    """Caveats, and the evaluation that cells without a measured value may need."""
    if table.evaluate is None or all(line.measured for line in lines):
        return list(table.caveats)
    command = f"python -m gat_lightning.evaluate checkpoint=RUN/checkpoints/best.ckpt {table.evaluate}"
    return [*table.caveats, f"For cells that are not measured, evaluate the runs: {command}"]


def _measured(
    records: Sequence[Record], table: Published, row: Row, column: Column, scale: str, checkpoint: str
) -> list[tuple[str, MeanStd]]:
    measure = _measure(row, column)
    own = [record for record in records if _is_of(record, table.tables, scale)]
    if measure is None:
        return []
    matching = group(list(_matching(records, own, row, column, scale)))
    return measure(CellRuns(row, column, matching, own, checkpoint))


def _matching(
    records: Sequence[Record], own: Sequence[Record], row: Row, column: Column, scale: str
) -> Iterator[Record]:
    if row.settings or column.settings:
        yield from (record for record in own if {*row.settings, *column.settings} <= row_of(record))
    for other, settings in row.elsewhere.items():
        for record in records:
            if _is_of(record, [other], scale) and set(settings) <= row_of(record):
                yield record


def _measure(row: Row, column: Column) -> Measure | None:
    if column.measure is not None:
        return instantiate(column.measure)
    metric = column.metric or row.metric
    return None if metric is None else Metric(metric)


def _written(value: MeanStd, column: Column) -> str:
    scale, digits = (100, 2) if column.unit == "%" else (1, 4)
    seeds = 1 if math.isnan(value.std) else value.n  # a front or a correlation has one value, over many runs
    return MeanStd(scale * value.mean, scale * value.std, seeds).text(digits)


def _is_of(record: Record, tables: Container[str], scale: str | None = None) -> bool:
    """Whether a run belongs to one of the tables, at a scale if one is given."""
    paper = record.configuration.get("paper") or {}
    return paper.get("table") in tables and scale in (None, paper.get("scale"))

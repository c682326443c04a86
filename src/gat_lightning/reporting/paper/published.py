"""The paper's published numbers, and the runs that measure each of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]

from gat_lightning.errors import UserError
from gat_lightning.nearest import did_you_mean, listed, nearest

_FOLDER = Path(__file__).parent
_COLUMN = {"name", "unit", "settings", "metric", "measure"}
_ROW = {"name", "cells", "settings", "metric", "elsewhere"}
_TABLE = {"id", "title", "data", "evaluate", "columns", "rows", "same_as", "caveats"}


@dataclass(frozen=True)
class Cell:
    """Number printed in the paper.

    Attributes:
        text: the printed text, such as ``73.70`` or ``39.09±0.13``.
        value: the number, in the unit of its column.
        spread: the number after ±; None if there is none.
    """

    text: str
    value: float
    spread: float | None = None


@dataclass(frozen=True)
class Column:
    """Column of a published table.

    Attributes:
        name: printed name, with its super-heading before a slash.
        unit: ``%`` if the number is 100 times our metric, otherwise its unit.
        settings: overrides of its runs, such as ``task=macro``.
        metric: name in ``result.json``, such as ``test/pgd10/accuracy``; None if the row or :attr:`measure` defines it.
        measure: ``_target_`` and arguments of a measure that is not a metric of a single run.
    """

    name: str
    unit: str
    settings: tuple[str, ...] = ()
    metric: str | None = None
    measure: dict[str, Any] | None = None


@dataclass(frozen=True)
class Row:
    """Row of a published table.

    Attributes:
        name: printed name, with its group before a slash.
        cells: one per column; None if nothing legible is printed.
        settings: overrides of its runs.
        metric: as for :class:`Column`, if the column has none.
        elsewhere: settings of runs of other tables, by table id, that measure this row too.
    """

    name: str
    cells: tuple[Cell | None, ...]
    settings: tuple[str, ...] = ()
    metric: str | None = None
    elsewhere: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A table or figure of the paper.

    Attributes:
        id: such as ``table2``.
        title: its caption.
        data: data set.
        columns: at least one.
        rows: at least one.
        caveats: caveats of a comparison, one or two sentences each.
        evaluate: settings of ``python -m gat_lightning.evaluate`` that its runs need in addition to training; None if
            none.
        tables: ids of the tables with the same runs, including its own.
    """

    id: str
    title: str
    data: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caveats: tuple[str, ...]
    evaluate: str | None
    tables: tuple[str, ...]

    @property
    def settings(self) -> frozenset[str]:
        """All overrides that distinguish its runs."""
        parts = [part.settings for part in self.columns] + [part.settings for part in self.rows]
        return frozenset(word for settings in parts for word in settings)


def published_ids() -> list[str]:
    """Ids of all tables and figures with published numbers, in the paper's order."""
    found = [path.stem for path in _FOLDER.glob("*.yaml")]
    return sorted(found, key=lambda name: (name.rstrip("0123456789"), int(name.lstrip("abcdefghijklmnopqrstuvwxyz"))))


@cache
def published(name: str) -> Published:
    """A table or figure by its id.

    Raises:
        UserError: the id is unknown; the message names the nearest one.
        ValueError: its file is invalid; the message says where.
    """
    known = published_ids()
    if name not in known:
        meant = did_you_mean(nearest(name, known), otherwise=".")
        raise UserError(f"The paper has no numbers of '{name}'{meant}{listed('There are', known)}")
    return parse((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), name)


def parse(text: str, name: str) -> Published:
    """Parse the content of a file of this folder. Numbers keep their printed form.

    Args:
        text: YAML with ``id, title, data, columns, rows, caveats`` and, where needed, ``evaluate``; or with ``same_as``
            another id and, for a part of its rows, the beginnings of their names as ``rows``.
        name: the expected id.

    Raises:
        ValueError: unknown keys, no rows, a row with more or fewer cells than columns, or a cell that is no number.
    """
    content = yaml.load(text, Loader=yaml.BaseLoader)
    _check_keys(content, _TABLE, name)
    if content["id"] != name:
        raise ValueError(f"{name}: its id is {content['id']}")
    caveats = tuple(content.get("caveats", ()))
    if "same_as" in content:
        return _part_of(published(content["same_as"]), content, caveats)
    columns = tuple(_column(each, name) for each in content["columns"])
    rows = tuple(_row(each, len(columns), name) for each in content["rows"])
    if not rows or not columns:
        raise ValueError(f"{name}: it has no rows or no columns")
    return Published(name, content["title"], content["data"], columns, rows, caveats, content.get("evaluate"), (name,))


def _part_of(other: Published, content: Mapping[str, Any], caveats: tuple[str, ...]) -> Published:
    begins = tuple(content.get("rows", ("",)))
    rows = tuple(row for row in other.rows if row.name.startswith(begins))
    if not rows:
        raise ValueError(f"{content['id']}: no row of {other.id} begins with {' or '.join(begins)}")
    return Published(
        content["id"],
        content["title"],
        other.data,
        other.columns,
        rows,
        (*caveats, *other.caveats),
        other.evaluate,
        (content["id"], *other.tables),
    )


def _column(content: Mapping[str, Any], where: str) -> Column:
    _check_keys(content, _COLUMN, where)
    return Column(
        content["name"],
        content["unit"],
        tuple(content.get("settings", ())),
        content.get("metric"),
        content.get("measure"),
    )


def _row(content: Mapping[str, Any], columns: int, where: str) -> Row:
    _check_keys(content, _ROW, where)
    cells = tuple(_cell(text, f"{where}, row {content['name']}") for text in content["cells"])
    if len(cells) != columns:
        raise ValueError(f"{where}, row {content['name']}: {len(cells)} cells, and {columns} columns")
    elsewhere = {table: tuple(settings) for table, settings in content.get("elsewhere", {}).items()}
    return Row(content["name"], cells, tuple(content.get("settings", ())), content.get("metric"), elsewhere)


def _cell(text: str, where: str) -> Cell | None:
    if text == "null":
        return None
    value, _, spread = text.partition("±")
    try:
        cell = Cell(text, float(value), float(spread) if spread else None)
    except ValueError:
        raise ValueError(f"{where}: '{text}' is no number") from None
    if not math.isfinite(cell.value):
        raise ValueError(f"{where}: '{text}' is not finite")
    return cell


def _check_keys(content: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown: Sequence[str] = sorted(set(content) - known)
    if unknown:
        raise ValueError(f"{where}: unknown keys {', '.join(unknown)}")

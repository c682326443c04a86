"""CSV tables of a data set's pictures, tolerant of edited, re-saved and truncated files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gat_lightning.errors import UserError

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}

# Read at a time: pandas needs several times the memory of the text that it is reading.
_ROWS = 10_000


def pandas() -> Any:
    """The module.

    Raises:
        UserError: the package is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise UserError("This data set's tables are read with pandas: pip install 'gat-lightning[medical]'") from error
    return pandas


def read_table(path: Path, columns: Sequence[str], separator: str = ",") -> DataFrame:
    """Read a CSV file with all columns as text, without leading white space; missing cells are empty.

    A byte order mark and a trailing separator are ignored. Columns are categorical to save memory; ``astype(str)``
    converts them to text.

    Args:
        path: the file, which may be compressed.
        columns: required columns.
        separator: column separator.

    Raises:
        UserError: the file is missing, empty, damaged or not UTF-8, has another separator, or lacks a column.
    """
    read = pandas()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", read.errors.ParserWarning)
            with read.read_csv(
                path,
                sep=separator,
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
                encoding="utf-8-sig",
                index_col=False,
                chunksize=_ROWS,
            ) as pieces:
                table = _joined([piece.fillna("").astype("category") for piece in pieces])
    except read.errors.ParserWarning:
        raise UserError(f"{path.absolute()} has rows with more cells than columns; mend it, or get it again") from None
    except FileNotFoundError:
        raise UserError(f"There is no file {path.absolute()}") from None
    except read.errors.EmptyDataError:
        raise UserError(f"{path.absolute()} is empty; get it again from where the data set comes from") from None
    except UnicodeDecodeError:
        raise UserError(f"{path.absolute()} is not in UTF-8; save it as CSV in UTF-8") from None
    except (read.errors.ParserError, OSError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path.absolute()} cannot be read as a table: {reason}; get it again") from error
    table.columns = [str(name).strip() for name in table.columns]
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise UserError(_wrong_columns(path, list(table.columns), missing, separator))
    if not len(table):
        raise UserError(f"{path.absolute()} has a header and no rows; get it again from where the data set comes from")
    return table


def _joined(pieces: list[DataFrame]) -> DataFrame:
    """Join pieces with the same columns into one table; the pieces are emptied."""
    read = pandas()
    join = read.api.types.union_categoricals
    return read.DataFrame({name: join([piece.pop(name) for piece in pieces]) for name in list(pieces[0].columns)})


def _wrong_columns(path: Path, found: list[str], missing: list[str], separator: str) -> str:
    for other, words in _SEPARATORS.items():
        if other != separator and len(found) < 3 and found[0].count(other) > 1:
            return f"{path.absolute()} has {words} between its columns; it must be {_SEPARATORS[separator]}"
    return (
        f"{path.absolute()} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, found))}. Get it"
        " again from where the data set comes from"
    )


def values_of(column: Series[str], meaning: Mapping[str, Any]) -> tuple[Series[Any], Series[bool]]:
    """Values of a column's texts, and the mask of invalid texts, whose values are missing."""
    column = column.astype(str)
    return column.map(dict(meaning)), ~column.isin(list(meaning))

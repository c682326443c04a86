"""What is wrong with a data set's tables and pictures, counted and named in one message."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from gat_lightning.data.folders import shorten
from gat_lightning.errors import UserError

log = logging.getLogger(__name__)

ON_ERROR = ("stop", "skip")


class Fault(NamedTuple):
    """One row of a table, or one picture, that cannot be used.

    Attributes:
        kind: such as ``duplicate row``.
        name: of the row or picture, and what it says.
    """

    kind: str
    name: str


def check_on_error(on_error: str) -> None:
    """Raise `UserError` unless it is ``stop`` or ``skip``."""
    if on_error not in ON_ERROR:
        raise UserError(f"data.on_error={on_error!r}: it must be stop, or skip (leave out what cannot be used)")


def report(faults: Sequence[Fault], total: int, where: str, on_error: str, say: bool = True) -> None:
    """One message about all faults: an error, or a warning where they are to be left out.

    Args:
        faults: at most one of each row.
        total: number of rows.
        where: the table or folder.
        on_error: ``stop`` or ``skip``.
        say: whether this process is the one to warn.

    Raises:
        UserError: there are faults, and ``on_error`` is ``stop``.
    """
    if not faults:
        return
    kinds = sorted({fault.kind for fault in faults})
    counted = [[fault.name for fault in faults if fault.kind == kind] for kind in kinds]
    listed = "; ".join(f"{len(names):,} {kind} ({shorten(names)})" for kind, names in zip(kinds, counted, strict=True))
    message = f"{len(faults):,} of {total:,} rows in {where} cannot be used: {listed}"
    if on_error == "stop":
        raise UserError(f"{message}. Mend or delete them, or set data.on_error=skip to leave them out")
    if say:
        log.warning("%s. They are left out", message)

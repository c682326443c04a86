"""Records of a data set's tables, and their unusable rows and pictures."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from gat_lightning.data.listing import shorten
from gat_lightning.errors import UserError

log = logging.getLogger(__name__)

ON_ERROR = ("stop", "skip")


class Fault(NamedTuple):
    """Unusable row of a table, or unusable picture.

    Attributes:
        kind: kind of fault, such as ``duplicate row``.
        name: name of the row or picture, and its content.
        path: path of the picture, relative to the data set's folder; empty if unknown.
    """

    kind: str
    name: str
    path: str = ""


def report(faults: Sequence[Fault], total: int, where: str, on_error: str, say: bool = True) -> None:
    """Report all faults in one message: an error, or a warning if they are skipped.

    Args:
        faults: at most one fault per row.
        total: number of rows.
        where: name of the table or folder.
        on_error: ``stop`` or ``skip``.
        say: whether this process logs the warning.

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


@dataclass(frozen=True)
class Population:
    """Patients of a set of images (paper, Table 6).

    Attributes:
        patients: patient of every image, long ``[N]``.
        age: age in years, float ``[N]``, NaN if unknown.
        gender: 0 female, 1 male, 2 unknown, long ``[N]``.
    """

    patients: Tensor
    age: Tensor
    gender: Tensor


@dataclass(frozen=True)
class Records:
    """Pictures of a data set that its settings select, with their labels.

    Attributes:
        paths: paths of the N files, relative to the data set's folder.
        labels: ``{name: tensor [N]}``.
        test: mask of the official test pictures, bool ``[N]``; ``None`` if not used.
        patients: patient of every picture, long ``[N]``; ``None`` without patients.
        faults: unusable rows, which are not among the N.
        listed: all usable rows before the selection by settings; ``None`` without patients.
        named: paths of all usable rows before the selection by settings; ``None`` if the pictures are not from a table.
        left_out: files beside the pictures whose endings are not read, relative to the data set's folder.
    """

    paths: tuple[str, ...]
    labels: dict[str, Tensor]
    test: Tensor | None = None
    patients: Tensor | None = None
    faults: tuple[Fault, ...] = ()
    listed: Population | None = None
    named: tuple[str, ...] | None = None
    left_out: tuple[str, ...] = ()

"""What a data set's tables say, before a picture is opened."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gat_lightning.data.faults import Fault


@dataclass(frozen=True)
class Population:
    """Who is in some images (paper, Table 6).

    Attributes:
        patients: of every image, long ``[N]``.
        age: in years, float ``[N]``, NaN where unknown.
        gender: 0 female, 1 male, 2 unknown, long ``[N]``.
    """

    patients: Tensor
    age: Tensor
    gender: Tensor


@dataclass(frozen=True)
class Records:
    """The pictures of a data set that its settings choose, with their labels.

    Attributes:
        paths: of the N files, relative to the data set's folder.
        labels: ``{name: tensor [N]}``.
        test: which of them the data set's authors chose for testing, bool ``[N]``; ``None`` if that is not used.
        patients: of every picture, long ``[N]``; ``None`` where there are none.
        faults: rows that cannot be used, none of which is among the N.
        listed: all usable rows, before the settings choose; ``None`` where there are no patients.
    """

    paths: tuple[str, ...]
    labels: dict[str, Tensor]
    test: Tensor | None = None
    patients: Tensor | None = None
    faults: tuple[Fault, ...] = ()
    listed: Population | None = None

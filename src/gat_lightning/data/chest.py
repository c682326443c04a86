"""Base class of the chest X-ray data sets CheXpert and NIH ChestX-ray14."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gat_lightning.batch import MISSING
from gat_lightning.data.listed import ListedPictures
from gat_lightning.data.records import Fault, Population, Records
from gat_lightning.data.splits import draw_groups, hold_out_groups
from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.validate import check_option

if TYPE_CHECKING:
    from pandas import DataFrame, Series

log = logging.getLogger(__name__)

VIEWS = {"frontal": ("pa", "ap"), "pa": ("pa",), "ap": ("ap",), "all": ("pa", "ap", "lateral", "")}
"""Views of ``data.view``; a few frontal X-rays were taken neither PA nor AP: they are in ``all`` only."""

VIEW_CLASSES = ("pa", "ap", "lateral")
GENDERS = ("female", "male", "unknown")
PRESENCE = ("absent", "present")

YEARS = 100.0
"""The label ``age`` is in units of so many years, so that it lies in [0, 1]."""

OLDEST = 120
"""Ages above are errors of the published tables, and missing."""


class ChestXrays(ListedPictures):
    """X-rays with pathologies (0, 1 or missing), and ``age``, ``gender`` and ``view`` as further labels.

    ``age`` is in years divided by 100, NaN above 120 years; ``gender`` is one of female, male and unknown.

    Splits are by patient: all images of a patient are in the same split. ``split=patients`` tests on ``test_fraction``
    of the patients, the same for every ``seed``, and validates on ``val_fraction`` of the others: 64, 16 and 20 % with
    both at 0.2, as the paper's authors did. ``split=official`` tests on the official test images.

    Args:
        view: ``frontal`` (PA and AP), ``pa``, ``ap`` or ``all``.
        per_patient: ``first`` (each patient's first chosen image) or ``all``.
        split: ``patients`` or ``official``.
        val_fraction: fraction of the other patients held out for validation, in (0, 1).
        **settings: those of :class:`~gat_lightning.data.listed.ListedPictures`, ``root`` among them.

    Raises:
        UserError: a setting is out of range.
    """

    def __init__(
        self,
        *,
        view: str = "frontal",
        per_patient: str = "first",
        split: str = "patients",
        val_fraction: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(val_fraction=val_fraction, **settings)
        check_option("view", view, tuple(VIEWS))
        check_option("per_patient", per_patient, ("first", "all"))
        check_option("split", split, ("patients", "official"))
        self.view, self.per_patient, self.division = view, per_patient, split

    @abstractmethod
    def rows(self) -> tuple[DataFrame, list[Fault]]:
        """Usable rows of the tables, in the order that defines a patient's first image, and the faults of the others.

        Columns: ``path`` below ``root``, ``patient`` (int), ``age`` in years (float), ``gender`` (of
        :data:`GENDERS`), ``view`` (of :data:`VIEW_CLASSES`, or ""), ``test`` (bool: official test image), and the
        pathologies as the table has them (float).
        """

    def per_image(self, rows: DataFrame) -> DataFrame:
        """One row for each image to use: the first of each patient, or all."""
        return rows.drop_duplicates("patient") if self.per_patient == "first" else rows

    def settle(self, rows: DataFrame) -> DataFrame:
        """Convert pathologies to 1, 0 and NaN."""
        return rows

    def labels(self) -> dict[str, LabelInfo]:
        """The pathologies, age, gender and view."""
        return {
            **{name: LabelInfo(PRESENCE, "binary") for name in self.binary_labels},
            "age": LabelInfo((), "regression", scale=YEARS, unit="years"),
            "gender": LabelInfo(GENDERS),
            "view": LabelInfo(VIEW_CLASSES),
        }

    def read(self) -> Records:
        """Read the tables, choose images and settle their labels.

        Raises:
            UserError: see :meth:`ListedPictures.read`; or no image is chosen, or a patient is in both official parts.
        """
        rows, faults = self.rows()
        rows, listed = self._plausible(rows), len(rows)
        if self.division == "official":
            _check_official(rows)
        chosen = self.settle(self.per_image(rows[rows["view"].isin(VIEWS[self.view])]))
        if not len(chosen):
            raise UserError(f"data.view={self.view}: none of {listed:,} usable rows in {self.root.absolute()} is of it")
        labels: dict[str, Tensor] = {
            **{name: _tensor(chosen[name].fillna(MISSING)).long() for name in self.binary_labels},
            "age": _tensor(chosen["age"]).float() / YEARS,
            "gender": _indices(chosen["gender"], GENDERS),
            "view": _indices(chosen["view"], VIEW_CLASSES),
        }
        patients = _tensor(chosen["patient"]).long()
        test = _tensor(chosen["test"]).bool() if self.division == "official" else None
        everybody = Population(
            _tensor(rows["patient"]).long(), _tensor(rows["age"]).double(), _indices(rows["gender"], GENDERS)
        )
        return Records(tuple(chosen["path"]), labels, test, patients, tuple(faults), everybody)

    def _plausible(self, rows: DataFrame) -> DataFrame:
        old = rows["age"] > OLDEST
        if old.any():
            log.info("%s: %s ages above %s years are taken as unknown", self.title, f"{old.sum():,}", OLDEST)
        return rows.assign(age=rows["age"].mask(old))

    def divide(self, records: Records) -> dict[str, Tensor]:
        """Splits by patient.

        Raises:
            UserError: a split has no image.
        """
        patients = records.patients
        assert patients is not None
        if records.test is None:
            test, others = draw_groups(patients, self.test_fraction, self.title, "test")
        else:
            test, others = (mask.nonzero().flatten() for mask in (records.test, ~records.test))
        if not len(test) or not len(others):
            raise UserError(f"data.split={self.division} leaves no {'training' if len(test) else 'test'} image")
        training, validation = hold_out_groups(patients[others], self.val_fraction, self.fraction, self.seed)
        return {"train": others[training], "val": others[validation], "test": test}

    def describe(self) -> DataInfo:
        """As :meth:`ListedPictures.describe`.

        Raises:
            UserError: see there; or the training images are not both with and without a target pathology.
        """
        info = super().describe()
        if self.target in self.binary_labels and 0 in (counts := info.labels[self.target].counts):
            word = ("negative", "positive")[counts.index(0)]
            raise UserError(
                f"data.target={self.target}: none of {len(self.parts['train']):,} training images is {word}; use a"
                " larger data.fraction or another target"
            )
        note = "which side of the body is the left, and which organ is above, cannot be told"
        return DataInfo(info.name, info.image, info.mean, info.std, info.labels, note)


def _check_official(rows: DataFrame) -> None:
    """Check all images: choosing one of each patient would hide that another one is in the other part."""
    test = rows["test"].astype(bool)
    if both := set(rows["patient"][test]) & set(rows["patient"][~test]):
        raise UserError(
            f"{len(both):,} patients are in the official training and test lists, such as {min(both)}; get the lists"
            " again, or use data.split=patients"
        )


def faults_of(rows: DataFrame, checks: Sequence[tuple[str, Series[bool], str]]) -> tuple[list[Fault], Series[bool]]:
    """Faults of the rows that fail a check, each by the first check that it fails.

    Args:
        rows: with a column ``path``, which names them.
        checks: kind of fault, which rows have it, and the column to show, or "".

    Returns:
        The faults, and which rows have none.
    """
    faults: list[Fault] = []
    good = rows["path"].notna() | True
    for kind, failing, column in checks:
        bad = rows[failing & good]
        shown = [f": {column}={value!r}" for value in bad[column]] if column else [""] * len(bad)
        faults += [Fault(kind, f"{path!r}{text}") for path, text in zip(bad["path"], shown, strict=True)]
        good &= ~failing
    return faults, good


def _tensor(column: Series[Any]) -> Tensor:
    return torch.from_numpy(column.to_numpy(copy=True))


def _indices(column: Series[str], names: Sequence[str]) -> Tensor:
    return _tensor(column.map({name: index for index, name in enumerate(names)}).fillna(MISSING)).long()

"""Base class of the chest X-ray data sets CheXpert and NIH ChestX-ray14."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from gat_lightning.batch import MISSING
from gat_lightning.data.listed import ListedPictures
from gat_lightning.data.patients import divide_patients, held_out
from gat_lightning.data.records import Fault, Population, Records
from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo, LabelInfo, PatientSplit
from gat_lightning.validate import check_int, check_option

if TYPE_CHECKING:
    from pandas import DataFrame, Series

log = logging.getLogger(__name__)

VIEWS = {"frontal": ("pa", "ap"), "pa": ("pa",), "ap": ("ap",), "all": ("pa", "ap", "lateral", "")}
"""Views of ``data.view``; a few frontal X-rays were taken neither PA nor AP: they are in ``all`` only."""

VIEW_CLASSES = ("pa", "ap", "lateral")
GENDERS = ("female", "male", "unknown")
PRESENCE = ("absent", "present")

FIRST, MERGED, ALL = "first", "merged", "all"
"""Values of ``data.per_patient``."""

YEARS = 100.0
"""The label ``age`` is in units of so many years, so that it lies in [0, 1]."""

OLDEST = 120
"""Ages above are errors of the published tables, and missing."""


class ChestXrays(ListedPictures):
    """X-rays with pathologies (0, 1 or missing), and ``age``, ``gender`` and ``view`` as further labels.

    ``age`` is in years divided by 100, NaN above 120 years; ``gender`` is one of female, male and unknown.

    Splits are by patient: all images of a patient are in the same split. ``split=patients`` tests on ``test_fraction``
    of the patients and validates on ``val_fraction`` of the others: 64, 16 and 20 % with both at 0.2, as the paper's
    authors did. ``split=official`` tests on the official test images. Test, validation and ``fraction`` follow from
    three hashes of the patient and ``split_seed``, whatever ``seed``, the views and the other rows are
    (:func:`~gat_lightning.data.patients.is_drawn`), so that the fractions are expected shares.

    Args:
        view: ``frontal`` (PA and AP), ``pa``, ``ap`` or ``all``.
        per_patient: ``first``: each patient's earliest chosen image, with its own labels; ``merged``: each patient's
            first chosen image in the order of the table, with the first label that any of the patient's chosen images
            has, as in the paper's Table 7; ``all``: every chosen image, with its own labels.
        split: ``patients`` or ``official``.
        split_seed: seed of the draws of patients, at least 0.
        val_fraction: fraction of the other patients held out for validation, in (0, 1).
        **settings: those of :class:`~gat_lightning.data.listed.ListedPictures`, ``root`` among them.

    Raises:
        UserError: a setting is out of range.
    """

    official_apart: ClassVar[bool] = False
    """Whether ``split=patients`` leaves the official test patients out altogether."""

    def __init__(
        self,
        *,
        view: str = "frontal",
        per_patient: str = FIRST,
        split: str = "patients",
        split_seed: int = 0,
        val_fraction: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(val_fraction=val_fraction, **settings)
        check_option("view", view, tuple(VIEWS))
        check_option("per_patient", per_patient, (FIRST, MERGED, ALL))
        check_option("split", split, ("patients", "official"))
        check_int("split_seed", split_seed, 0)
        self.view, self.per_patient, self.division, self.split_seed = view, per_patient, split, split_seed

    @property
    def patient_split(self) -> PatientSplit:
        """Settings that decide which patient is in which split."""
        return PatientSplit(
            self.title, self.division, self.split_seed, self.test_fraction, self.val_fraction, self.official_apart
        )

    @abstractmethod
    def rows(self) -> tuple[DataFrame, list[Fault]]:
        """Usable rows of the tables, and the faults of the others.

        Columns: ``path`` below ``root``, ``patient`` (int), ``study`` and ``image`` (numbers of the patient's study in
        order of time, and of the image in it), ``age`` in years (float), ``gender`` (of :data:`GENDERS`), ``view`` (of
        :data:`VIEW_CLASSES`, or ""), ``test`` (bool: official test image), and the pathologies as the table has them
        (float).
        """

    def per_image(self, rows: DataFrame) -> DataFrame:
        """One row for each image to use, as ``per_patient`` says."""
        if self.per_patient == ALL:
            return rows
        if self.per_patient == MERGED:
            return rows.groupby("patient", sort=False, as_index=False).first()
        return rows.sort_values(["patient", "study", "image"], kind="stable").drop_duplicates("patient")

    def settle(self, rows: DataFrame, training: Tensor) -> DataFrame:
        """Convert pathologies to 1, 0 and NaN.

        Args:
            rows: N rows, one for each image to use.
            training: mask of those that are neither for validation nor for testing, bool ``[N]``.
        """
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
        chosen = self.per_image(rows[rows["view"].isin(VIEWS[self.view])])
        if not len(chosen):
            raise UserError(f"data.view={self.view}: none of {listed:,} usable rows in {self.root.absolute()} is of it")
        patients = _tensor(chosen["patient"]).long()
        official = _tensor(chosen["test"]).bool() if self.division == "official" else None
        test, val = held_out(patients, self.patient_split, official)
        chosen = self.settle(chosen, ~(test | val))
        labels: dict[str, Tensor] = {
            **{name: _tensor(chosen[name].fillna(MISSING)).long() for name in self.binary_labels},
            "age": _tensor(chosen["age"]).float() / YEARS,
            "gender": _indices(chosen["gender"], GENDERS),
            "view": _indices(chosen["view"], VIEW_CLASSES),
        }
        everybody = Population(
            _tensor(rows["patient"]).long(), _tensor(rows["age"]).double(), _indices(rows["gender"], GENDERS)
        )
        return Records(tuple(chosen["path"]), labels, official, patients, tuple(faults), everybody, tuple(rows["path"]))

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
        assert records.patients is not None
        return divide_patients(records.patients, self.patient_split, self.fraction, records.test)

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
        return replace(info, orientation=note, patients=self.patient_split)


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
        faults += [Fault(kind, f"{path!r}{text}", path) for path, text in zip(bad["path"], shown, strict=True)]
        good &= ~failing
    return faults, good


def _tensor(column: Series[Any]) -> Tensor:
    return torch.from_numpy(column.to_numpy(copy=True))


def _indices(column: Series[str], names: Sequence[str]) -> Tensor:
    return _tensor(column.map({name: index for index, name in enumerate(names)}).fillna(MISSING)).long()

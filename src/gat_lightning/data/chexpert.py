"""CheXpert, in the official folder of the small or the full release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gat_lightning.data.chest import ChestXrays, faults_of
from gat_lightning.data.records import Fault
from gat_lightning.data.tables import pandas, read_table, values_of
from gat_lightning.info import BINARY_LABELS
from gat_lightning.validate import check_option

if TYPE_CHECKING:
    from pandas import DataFrame

PATHOLOGIES = BINARY_LABELS["CheXpert"]

COLUMNS = tuple(name.replace("_", " ").title() for name in PATHOLOGIES)
"""The 14 labels, as the tables call them."""

_SAID = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "-1": -1.0, "-1.0": -1.0, "": float("nan")}
_SEX = {"Female": "female", "Male": "male", "Unknown": "unknown", "": "unknown"}
_VIEW = {
    "Frontal AP": "ap",
    "Frontal PA": "pa",
    "Frontal LL": "",
    "Frontal RL": "",
    "Frontal": "",
    "Lateral": "lateral",
}
_PATH = r"(?P<path>(?:train|valid)/patient(?P<patient>\d+)/study(?P<study>\d+)/(?:view(?P<image>\d+))?[^/]+)$"

_UNCERTAIN = -1.0
_UNCERTAIN_AS = {"ignore": float("nan"), "zeros": 0.0, "ones": 1.0}
_HEALTHY = "no_finding"
_NOT_A_FINDING = "support_devices"


class CheXpert(ChestXrays):
    """223,414 X-rays of 64,540 patients with 14 labels (Irvin et al., 2019).

    ``root`` holds ``train.csv``, ``valid.csv`` and ``train/patientNNNNN/studyN/viewN_frontal.jpg``. ``split=official``
    tests on the images of ``valid.csv``, which radiologists labelled; ``split=patients`` ignores them.

    A patient's earliest image is that of the lowest study and then view number. "No Finding" sets all other labels of
    an image except "Support Devices" to 0; a blank "No Finding" is 0. With ``per_patient=merged``, which reproduces the
    paper's Table 7, labels are merged before: an image of a healthy study may then get the findings of a later one, or
    the other way round.

    Args:
        target: ``edema`` or another pathology, ``age``, ``gender`` or ``view``.
        uncertain: uncertain labels (-1) of training images are missing (``ignore``), negative (``zeros``) or positive
            (``ones``).
        uncertain_eval: likewise, of validation and test images.
        **settings: those of :class:`~gat_lightning.data.chest.ChestXrays`.

    Raises:
        UserError: a setting is out of range.
    """

    title = "CheXpert"
    layout = "train.csv, valid.csv and train/patientNNNNN/studyN/viewN_frontal.jpg (CheXpert-v1.0 or -v1.0-small)"
    binary_labels = PATHOLOGIES
    official_apart = True

    def __init__(
        self, *, target: str = "edema", uncertain: str = "ignore", uncertain_eval: str = "ignore", **settings: Any
    ) -> None:
        super().__init__(target=target, **settings)
        check_option("uncertain", uncertain, tuple(_UNCERTAIN_AS))
        check_option("uncertain_eval", uncertain_eval, tuple(_UNCERTAIN_AS))
        self.uncertain, self.uncertain_eval = uncertain, uncertain_eval

    def rows(self) -> tuple[DataFrame, list[Fault]]:
        """Rows of ``train.csv``, and of ``valid.csv`` for the official split."""
        tables = ("train", "valid") if self.division == "official" else ("train",)
        read = [
            read_table(self.root / f"{name}.csv", ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *COLUMNS])
            for name in tables
        ]
        return parse(pandas().concat(read, ignore_index=True))

    def settle(self, rows: DataFrame, training: Tensor) -> DataFrame:
        """Resolve "No Finding", then uncertain labels."""
        rows = rows.copy()
        others = [name for name in PATHOLOGIES if name not in (_HEALTHY, _NOT_A_FINDING)]
        rows.loc[rows[_HEALTHY] == 1, others] = 0.0
        rows[_HEALTHY] = rows[_HEALTHY].fillna(0.0)
        meaning = torch.where(training, _UNCERTAIN_AS[self.uncertain], _UNCERTAIN_AS[self.uncertain_eval]).numpy()
        for name in PATHOLOGIES:
            rows[name] = rows[name].mask(rows[name] == _UNCERTAIN, meaning)
        return rows


def parse(table: DataFrame) -> tuple[DataFrame, list[Fault]]:
    """Parse the official table into the rows of :meth:`ChestXrays.rows` and the faults of unusable rows."""
    path = table["Path"].astype(str)
    rows = path.str.extract(_PATH)
    place, rows["path"] = rows["path"].isna(), rows["path"].fillna(path)
    age = pandas().to_numeric(table["Age"].astype(str), errors="coerce")
    rows["gender"], sex = values_of(table["Sex"], _SEX)
    side = table["Frontal/Lateral"].astype(str) + " " + table["AP/PA"].astype(str)
    rows["view"], view = values_of(side.str.strip(), _VIEW)
    checks = [
        ("row without an official path", place, ""),
        ("duplicate row", rows["path"].duplicated(), ""),
        ("unknown label", sex, "Sex"),
        ("unknown label", view, "AP/PA"),
        ("age that is not a number", age.isna(), "Age"),
        ("negative age", age < 0, "Age"),
    ]
    for column, name in zip(COLUMNS, PATHOLOGIES, strict=True):
        rows[name], unknown = values_of(table[column], _SAID)
        checks.append(("unknown label", unknown, column))
    faults, good = faults_of(table.assign(path=rows["path"]), checks)
    rows = rows.assign(age=age, test=rows["path"].str.startswith("valid/"))[good]
    number = {name: pandas().to_numeric(rows[name]) for name in ("patient", "study", "image")}
    return rows.assign(**number), faults

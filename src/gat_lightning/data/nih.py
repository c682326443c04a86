"""NIH ChestX-ray14, as published."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gat_lightning.data.chest import ChestXrays, faults_of
from gat_lightning.data.records import Fault
from gat_lightning.data.tables import pandas, read_table, values_of
from gat_lightning.errors import UserError
from gat_lightning.info import BINARY_LABELS

if TYPE_CHECKING:
    from pandas import DataFrame, Series

PATHOLOGIES = BINARY_LABELS["NIH"]

FINDINGS = tuple(map(str.title, PATHOLOGIES))
"""The 14 labels, as the table calls them."""

TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
"""The first one that is there is read."""

LISTS = {"train_val_list.txt": False, "test_list.txt": True}

_NOTHING = "No Finding"
_COLUMNS = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "View Position")
_GENDER_COLUMNS = ("Patient Gender", "Patient Sex")
_GENDER = {"F": "female", "M": "male", "": "unknown"}
_VIEW = {"PA": "pa", "AP": "ap"}
_AGE = r"^(?P<number>-?\d+)(?P<unit>[YMD]?)$"
_YEARS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "D": 1 / 365.25}


class NIH(ChestXrays):
    """112,120 X-rays of 30,805 patients with 14 labels (Wang et al., 2017); none is missing or uncertain.

    ``root`` holds ``Data_Entry_2017_v2020.csv`` or ``Data_Entry_2017.csv``, and the pictures in
    ``images_001/images/`` to ``images_012/images/``, or in ``images/``. ``split=official`` needs the published
    ``train_val_list.txt`` and ``test_list.txt``, which are by patient.

    A patient's earliest image is that of the lowest follow-up number. That of the lowest image index, which
    ``per_patient=merged`` takes, is a later one for 2,164 patients of the file of 2020.

    The paper's Table 6 prints a mean age of 46.9 years, that of the file of 2017, which has ages of up to 414 years.
    The file of 2020 has other ages, none above 95, and its mean is 46.6. Table 7 was made from the older labels too:
    its counts are up to 10 images from those of 2020 with ``per_patient=merged``.

    Args:
        target: ``edema`` or another pathology, ``age``, ``gender`` or ``view``.
        **settings: those of :class:`~gat_lightning.data.chest.ChestXrays`.
    """

    title = "NIH ChestX-ray14"
    layout = f"{TABLES[0]} or {TABLES[1]}, and images_001/images/*.png (to images_012) or images/*.png"
    binary_labels = PATHOLOGIES

    def __init__(self, *, target: str = "edema", **settings: Any) -> None:
        super().__init__(target=target, **settings)

    def rows(self) -> tuple[DataFrame, list[Fault]]:
        """Rows of the table, by image index."""
        found = [name for name in TABLES if (self.root / name).is_file()]
        if not found:
            raise UserError(f"{self.root.absolute()} has neither {' nor '.join(TABLES)}; expected is {self.layout}")
        rows, faults = parse(read_table(self.root / found[0], _COLUMNS))
        if self.division == "official":
            listed = self._listed()
            unlisted, good = faults_of(rows, [("row in no official list", ~rows["path"].isin(list(listed)), "")])
            rows, faults = rows[good].assign(test=rows["path"][good].map(listed).astype(bool)), faults + unlisted
        folders = _folders(self.root)
        faults = [fault._replace(path=folders.get(fault.path, fault.path)) for fault in faults]
        return rows.assign(path=[folders.get(name, f"images/{name}") for name in rows["path"]]), faults

    def _listed(self) -> dict[str, bool]:
        """Whether a picture is for testing, by its name."""
        listed: dict[str, bool] = {}
        for name, test in LISTS.items():
            path = self.root / name
            if not path.is_file():
                raise UserError(f"data.split=official needs {path.absolute()}; get it, or use data.split=patients")
            for picture in path.read_text(encoding="utf-8-sig").split():
                if listed.setdefault(picture, test) != test:
                    raise UserError(f"{picture!r} is in both {' and '.join(LISTS)}; get them again")
        return listed


def _folders(root: Path) -> dict[str, str]:
    """Where each picture is, relative to ``root``, by its name."""
    places = [path for path in sorted(root.glob("images*")) if path.is_dir()]
    return {
        entry.name: os.path.relpath(entry.path, root)
        for place in places
        for folder in (place, place / "images")
        if folder.is_dir()
        for entry in os.scandir(folder)
    }


def _gender(table: DataFrame) -> str:
    for column in _GENDER_COLUMNS:
        if column in table.columns:
            return column
    raise UserError(f"The table has no column {' or '.join(map(repr, _GENDER_COLUMNS))}; get it again")


def _age(column: Series[str]) -> Series[float]:
    """Years: in the file of 2017 they read 058Y, 003M or 012D, in that of 2020 58."""
    parts = column.str.upper().str.extract(_AGE)
    return pandas().to_numeric(parts["number"]).astype(float) * parts["unit"].map(_YEARS)


def parse(table: DataFrame) -> tuple[DataFrame, list[Fault]]:
    """Parse the official table into the rows of :meth:`ChestXrays.rows` and the faults of unusable rows.

    ``path`` is the picture's name alone; ``test`` is false.
    """
    table = table.assign(path=table["Image Index"].astype(str)).sort_values("path", kind="stable")
    sex, age = _gender(table), _age(table["Patient Age"].astype(str))
    rows = table[["path"]].assign(age=age, test=False, image=0)
    for name, column in (("patient", "Patient ID"), ("study", "Follow-up #")):
        rows[name] = pandas().to_numeric(table[column].astype(str), errors="coerce")
    rows["gender"], gender = values_of(table[sex], _GENDER)
    rows["view"], view = values_of(table["View Position"], _VIEW)
    labels = table["Finding Labels"].astype(str)
    said = {text: frozenset(text.split("|")) for text in labels.unique()}
    sound = [text for text, findings in said.items() if findings <= set(FINDINGS) or findings == {_NOTHING}]
    for name, finding in zip(PATHOLOGIES, FINDINGS, strict=True):
        rows[name] = labels.map({text: float(finding in findings) for text, findings in said.items()})
    checks = [
        ("duplicate row", table["path"].duplicated(), ""),
        ("unknown label", ~labels.isin(sound), "Finding Labels"),
        ("unknown label", gender, sex),
        ("unknown label", view, "View Position"),
        ("patient without a number", rows["patient"].isna(), "Patient ID"),
        ("follow-up without a number", rows["study"].isna(), "Follow-up #"),
        ("age that is not a number", age.isna(), "Patient Age"),
        ("negative age", age < 0, "Patient Age"),
    ]
    faults, good = faults_of(table, checks)
    rows = rows[good]
    return rows.assign(patient=rows["patient"].astype("int64")), faults

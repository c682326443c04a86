"""A patient's split follows from the patient and data.split_seed alone."""

import re

import pytest

from gat_lightning.data import NIH, CheXpert
from support.xray_folders import chexpert_folder, nih_folder

pytest.importorskip("pandas", reason="needs gat-lightning[medical]")

DATA = {"chexpert": (CheXpert, chexpert_folder), "nih": (NIH, nih_folder)}


def split_of(data):
    """The split of every patient, by the number in the data set's tables."""
    found = {}
    for split, rows in data.parts.items():
        for patient in data.records.patients[rows].tolist():
            assert found.setdefault(patient, split) == split
    return found


def table_of(root):
    return next(path for path in root.glob("*.csv") if path.name != "valid.csv")


@pytest.fixture(scope="module", params=DATA)
def named(request, tmp_path_factory):
    """The class and a folder in which every third of 120 patients has no PA image."""
    make, folder = DATA[request.param]
    root = folder(tmp_path_factory.mktemp(request.param), patients=120)
    table = table_of(root)
    header, *lines = table.read_text().splitlines()
    number = re.compile(r"(?:patient0*|,)(\d+)[/,]" if make is CheXpert else r"0*(\d+)_")
    kept = [line for line in lines if ",PA," not in line or int(number.search(line)[1]) % 3]
    assert len(lines) - len(kept) == 40
    table.write_text("\n".join([header, *kept]))
    return make, root


def test_nothing_else_moves_a_patient(named):
    make, root = named
    everybody = split_of(make(root=root, per_patient="all", view="all"))
    assert len(everybody) == 120
    assert set(everybody.values()) == {"train", "val", "test"}
    for view, per_patient, seed in (("pa", "all", 0), ("frontal", "first", 1), ("ap", "merged", 2)):
        found = split_of(make(root=root, view=view, per_patient=per_patient, seed=seed))
        assert len(found) == (80 if view == "pa" else 120)
        assert found.items() <= everybody.items()
    part = split_of(make(root=root, fraction=0.5))
    assert part.items() <= everybody.items()
    assert {key: split for key, split in part.items() if split == "test"} == {
        key: split for key, split in everybody.items() if split == "test"
    }
    assert len({tuple(split_of(make(root=root, split_seed=seed)).items()) for seed in range(3)}) == 3


@pytest.mark.parametrize("spoilt", [1, 40])
def test_an_unusable_row_moves_nobody_else(named, spoilt, tmp_path):
    make, root = named
    everybody = split_of(make(root=root))
    table = table_of(root)
    header, *lines = table.read_text().splitlines()
    place = header.split(",").index("Age" if make is CheXpert else "Patient Age")
    for row in range(spoilt):
        cells = lines[5 * row].split(",")
        lines[5 * row] = ",".join([*cells[:place], "n/a", *cells[place + 1 :]])
    (tmp_path / table.name).write_text("\n".join([header, *lines]))
    kept = split_of(make(root=tmp_path, on_error="skip"))
    assert 80 <= len(kept) <= 120
    assert kept.items() <= everybody.items()
    (tmp_path / table.name).write_text("\n".join([header, *lines[-150:]]))  # another table
    kept = split_of(make(root=tmp_path, on_error="skip"))
    assert 0 < len(kept) < 100
    assert kept.items() <= everybody.items()

"""The published tables of CheXpert and NIH, as torchxrayvision ships them: the paper's tables 6 and 7."""

import csv
import gzip
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from gat_lightning.data import NIH, CheXpert, chexpert, nih

pytest.importorskip("pandas", reason="needs gat-lightning[medical]")

CHEXPERT_TABLE_7 = {
    "atelectasis": (12691, 14317),
    "cardiomegaly": (9099, 17765),
    "consolidation": (5390, 22504),
    "edema": (14929, 20615),
    "pleural_effusion": (20640, 23500),
    "enlarged_cardiomediastinum": (5181, 20506),
    "fracture": (4250, 14948),
    "lung_lesion": (4217, 14422),
    "lung_opacity": (30873, 15675),
    "pneumonia": (2822, 14793),
    "pneumothorax": (4311, 32685),
}
NIH_TABLE_7 = {
    "atelectasis": (1702, 29103),
    "cardiomegaly": (767, 30038),
    "consolidation": (427, 30378),
    "edema": (82, 30723),
    "effusion": (1280, 29525),
    "emphysema": (265, 30540),
    "fibrosis": (571, 30234),
    "hernia": (83, 30722),
    "infiltration": (3604, 27201),
    "mass": (1280, 29525),
    "nodule": (1661, 29144),
    "pleural_thickening": (763, 30042),
    "pneumonia": (168, 30637),
    "pneumothorax": (269, 30536),
}


def shipped(name, tmp_path, table):
    """The real table that torchxrayvision ships, as the official file."""
    found = find_spec("torchxrayvision")
    if found is None:
        pytest.skip("needs gat-lightning[medical]")
    path = Path(found.origin).parent / "data" / name
    (tmp_path / table).write_bytes(gzip.decompress(path.read_bytes()))
    return tmp_path


@pytest.fixture(scope="module")
def real_chexpert(tmp_path_factory):
    return shipped("chexpert_train.csv.gz", tmp_path_factory.mktemp("chexpert"), "train.csv")


@pytest.fixture(scope="module")
def real_nih(tmp_path_factory):
    return shipped("Data_Entry_2017_v2020.csv.gz", tmp_path_factory.mktemp("nih"), nih.TABLES[0])


def counts(data, name):
    label = data.records.labels[name]
    return int((label == 1).sum()), int((label == 0).sum())


@pytest.mark.slow
def test_table_7_of_chexpert_is_the_merged_reading(real_chexpert):
    data = CheXpert(root=real_chexpert, per_patient="merged")
    assert {name: counts(data, name) for name in CHEXPERT_TABLE_7} == CHEXPERT_TABLE_7
    assert not data.records.faults
    assert len(data.records.listed.age) == 223_414
    assert len(data.records.listed.patients.unique()) == 64_540
    assert round(float((data.records.listed.gender == 0).double().mean()), 3) == 0.406


@pytest.mark.slow
def test_labels_of_the_earliest_images_of_chexpert(real_chexpert):
    earliest = {}
    with (real_chexpert / "train.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            patient, *order = map(int, re.search(r"patient(\d+)/study(\d+)/view(\d+)_", row["Path"]).groups())
            if row["AP/PA"] in ("AP", "PA") and (patient not in earliest or order < earliest[patient][0]):
                earliest[patient] = order, row
    expected = dict.fromkeys(chexpert.PATHOLOGIES, (0, 0))
    for _, row in earliest.values():
        for name, column in zip(chexpert.PATHOLOGIES, chexpert.COLUMNS, strict=True):
            said = row[column] or ("0.0" if name == "no_finding" else "")
            if row["No Finding"] == "1.0" and name not in ("no_finding", "support_devices"):
                said = "0.0"
            positive, negative = expected[name]
            expected[name] = (positive + (said == "1.0"), negative + (said == "0.0"))
    data = CheXpert(root=real_chexpert)
    assert {name: counts(data, name) for name in chexpert.PATHOLOGIES} == expected
    assert set(data.records.paths) == {row["Path"].partition("/")[2] for _, row in earliest.values()}
    merged = CheXpert(root=real_chexpert, per_patient="merged").records
    assert len(set(data.records.paths) - set(merged.paths)) == 17_556


def test_tables_6_and_7_of_nih(real_nih):
    data = NIH(root=real_nih, per_patient="merged")
    for name, (positive, negative) in NIH_TABLE_7.items():
        found = counts(data, name)
        assert sum(found) == positive + negative == 30_805
        assert abs(found[0] - positive) <= 10, name
    listed = data.records.listed
    assert len(listed.age) == 112_120
    assert len(listed.patients.unique()) == 30_805
    assert round(float(listed.age.mean()), 1) == 46.6
    assert round(float(listed.age.std()), 1) == 16.6
    assert round(float((listed.gender == 0).double().mean()), 3) == 0.435


@pytest.mark.slow
def test_earliest_images_of_nih(real_nih):
    earliest = {}
    with (real_nih / nih.TABLES[0]).open(newline="") as file:
        for row in csv.DictReader(file):
            order = int(row["Follow-up #"])
            if row["Patient ID"] not in earliest or order < earliest[row["Patient ID"]][0]:
                earliest[row["Patient ID"]] = order, row["Image Index"]
    chosen = {path.rpartition("/")[2] for path in NIH(root=real_nih).records.paths}
    assert chosen == {name for _, name in earliest.values()}
    merged = {path.rpartition("/")[2] for path in NIH(root=real_nih, per_patient="merged").records.paths}
    assert len(chosen - merged) == 2_164

import gzip
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from gat_lightning.data import NIH, CheXpert, Digits, chexpert, nih
from gat_lightning.errors import SettingError, UserError
from support.xray_folders import SIZE, chexpert_folder, chexpert_header, chexpert_line, nih_folder

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
DATA = {"chexpert": (CheXpert, chexpert_folder), "nih": (NIH, nih_folder)}


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
    return CheXpert(root=shipped("chexpert_train.csv.gz", tmp_path_factory.mktemp("chexpert"), "train.csv"))


@pytest.fixture(scope="module")
def real_nih(tmp_path_factory):
    return NIH(root=shipped("Data_Entry_2017_v2020.csv.gz", tmp_path_factory.mktemp("nih"), nih.TABLES[0]))


@pytest.fixture
def chexpert_root(tmp_path):
    return chexpert_folder(tmp_path)


def counts(data, name):
    label = data.records.labels[name]
    return int((label == 1).sum()), int((label == 0).sum())


@pytest.mark.slow
def test_table_7_of_chexpert(real_chexpert):
    assert {name: counts(real_chexpert, name) for name in CHEXPERT_TABLE_7} == CHEXPERT_TABLE_7
    assert not real_chexpert.records.faults
    assert len(real_chexpert.records.listed.age) == 223_414
    assert len(real_chexpert.records.listed.patients.unique()) == 64_540
    assert round(float((real_chexpert.records.listed.gender == 0).double().mean()), 3) == 0.406


def test_tables_6_and_7_of_nih(real_nih):
    for name, (positive, negative) in NIH_TABLE_7.items():
        found = counts(real_nih, name)
        assert sum(found) == positive + negative == 30_805
        assert abs(found[0] - positive) <= 10, name
    listed = real_nih.records.listed
    assert len(listed.age) == 112_120
    assert len(listed.patients.unique()) == 30_805
    assert round(float(listed.age.mean()), 1) == 46.6
    assert round(float(listed.age.std()), 1) == 16.6
    assert round(float((listed.gender == 0).double().mean()), 3) == 0.435


def assert_by_patient(data):
    patients = data.records.patients
    parts = [set(patients[rows].tolist()) for rows in data.parts.values()]
    assert sum(map(len, parts)) == len(set().union(*parts))
    rows = torch.cat(list(data.parts.values()))
    assert len(rows.unique()) == len(rows)
    return parts


@pytest.mark.parametrize("name", DATA)
def test_no_patient_is_in_two_splits(name, tmp_path):
    make, folder = DATA[name]
    root, target = folder(tmp_path), "cardiomegaly"
    first = make(root=root, target=target, per_patient="all")
    tests, validations = [], []
    for seed in range(50):
        data = make(root=root, target=target, per_patient="all", seed=seed)
        data.__dict__["records"] = first.records
        train, val, test = assert_by_patient(data)
        assert (len(train), len(val), len(test)) == (26, 6, 8)
        assert sum(map(len, data.parts.values())) == len(first.records.paths)
        tests.append(data.parts["test"].tolist())
        validations.append(sorted(data.parts["val"].tolist()))
    assert all(test == tests[0] for test in tests)
    assert len(set(map(tuple, validations))) > 40


@pytest.mark.parametrize("name", DATA)
def test_a_fraction_keeps_whole_patients(name, tmp_path):
    make, folder = DATA[name]
    data = make(root=folder(tmp_path), target="cardiomegaly", per_patient="all", fraction=0.5)
    train, val, test = assert_by_patient(data)
    assert (len(train), len(val), len(test)) == (13, 3, 8)
    assert len(data.parts["train"]) == 26


@pytest.mark.parametrize("name", DATA)
def test_groups_are_the_patients_of_the_readable_images(name, tmp_path):
    make, folder = DATA[name]
    root = folder(tmp_path, patients=30)
    sorted(root.rglob("*.jpg" if name == "chexpert" else "*.png"))[0].write_bytes(b"")
    data = make(root=root, size=SIZE, target="cardiomegaly", per_patient="all", on_error="skip")
    data.setup()
    paths, patient_of = data.records.paths, {}
    for split in ("train", "val", "test"):
        groups = data.groups(split)
        assert groups.dtype == torch.long
        official = [re.search(r"(?:patient|images/)0*(\d+)", paths[row])[1] for row in data.split(split).rows]
        assert len(groups) == len(official)
        for group, patient in zip(groups.tolist(), official, strict=True):
            assert patient_of.setdefault(group, patient) == patient
    assert len(set(patient_of.values())) == len(patient_of) >= 29
    assert Digits().groups("train") is None


def test_the_official_test_images(tmp_path, chexpert_root):
    data = CheXpert(root=chexpert_root, split="official", per_patient="all")
    assert all(
        data.records.paths[row].startswith("valid/") == (split == "test")
        for split in data.parts
        for row in data.parts[split]
    )
    assert len(data.parts["test"]) == 12
    data = NIH(root=nih_folder(tmp_path / "nih"), split="official", target="cardiomegaly")
    assert {int(patient) % 4 == 0 for patient in data.records.patients[data.parts["test"]]} == {True}
    assert {int(patient) % 4 == 0 for patient in data.records.patients[data.parts["train"]]} == {False}
    (tmp_path / "nih" / "test_list.txt").unlink()
    with pytest.raises(UserError, match=r"data\.split=official needs .*test_list\.txt"):
        _ = NIH(root=tmp_path / "nih", split="official").records


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("view", ["frontal", "pa", "ap", "all"])
def test_views(name, view, tmp_path):
    make, folder = DATA[name]
    records = make(root=folder(tmp_path, patients=5), view=view, per_patient="all").records
    shown = {"frontal": {0, 1}, "pa": {0}, "ap": {1}, "all": {0, 1, 2} if name == "chexpert" else {0, 1}}[view]
    assert set(records.labels["view"].tolist()) == shown
    assert len(records.paths) == 5 * len(shown)


def write(root, *lines):
    (root / "train.csv").write_text("\n".join([chexpert_header(), *lines]))


def patient(number, study=1):
    return f"CheXpert-v1.0/train/patient{number:05d}/study{study}/view1_frontal.jpg"


@pytest.mark.parametrize(("uncertain", "value"), [("ignore", -1), ("zeros", 0), ("ones", 1)])
def test_labels_are_settled_as_described(tmp_path, uncertain, value):
    write(
        tmp_path,
        chexpert_line(patient(1), edema="-1.0", fracture="", support_devices="1.0"),
        chexpert_line(patient(1, 2), edema="1.0", fracture="0.0"),
        chexpert_line(patient(2), no_finding="1.0", edema="1.0", fracture="-1.0", support_devices="1.0"),
    )
    both = CheXpert(root=tmp_path, uncertain=uncertain).records
    assert both.paths == (patient(1)[14:], patient(2)[14:])
    assert both.labels["edema"].tolist() == [value, 0]
    assert both.labels["fracture"].tolist() == [0, 0]
    assert both.labels["support_devices"].tolist() == [1, 1]
    assert both.labels["no_finding"].tolist() == [0, 1]
    assert both.labels["pneumonia"].tolist() == [-1, 0]
    every = CheXpert(root=tmp_path, uncertain=uncertain, per_patient="all").records.labels
    assert every["edema"].tolist() == [value, 1, 0]
    assert every["fracture"].tolist() == [-1, 0, 0]


def test_ages_of_2017_and_implausible_ones(tmp_path, caplog):
    root = nih_folder(tmp_path, patients=4, table=nih.TABLES[1])
    table = root / nih.TABLES[1]
    text = table.read_text().replace(",001Y,", ",006M,").replace(",002Y,", ",414Y,").replace(",003Y,", ",073D,")
    table.write_text(text)
    with caplog.at_level("INFO"):
        records = NIH(root=root, per_patient="all").records
    age = records.labels["age"]
    assert age.isnan().tolist() == [False] * 2 + [True] * 2 + [False] * 4
    torch.testing.assert_close(age[[0, 4, 6]] * 100, torch.tensor([0.5, 73 / 365.25, 4]))
    assert "2 ages above 120 years are taken as unknown" in caplog.text


@pytest.mark.parametrize("unpacked", ["archives", "one"])
def test_nih_finds_its_pictures(tmp_path, unpacked):
    records = NIH(root=nih_folder(tmp_path, 6, unpacked=unpacked), per_patient="all").records
    assert len(records.paths) == 12
    assert all((tmp_path / path).is_file() for path in records.paths)


@pytest.mark.parametrize("release", ["CheXpert-v1.0", "CheXpert-v1.0-small"])
def test_batches_have_pixels_and_all_labels(tmp_path, release):
    data = CheXpert(root=chexpert_folder(tmp_path, release=release), size=SIZE, batch_size=8)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch.images.shape == (8, 1, SIZE, SIZE)
    assert 0 <= batch.images.min() < 0.3
    assert 0.7 < batch.images.max() <= 1
    assert set(batch.labels) == set(data.info.labels) == {*chexpert.PATHOLOGIES, "age", "gender", "view"}
    for name in chexpert.PATHOLOGIES:
        assert batch.labels[name].dtype == torch.long
        assert set(batch.labels[name].tolist()) <= {-1, 0, 1}
        known = data.split("train").labels[name]
        assert data.info.labels[name].counts == (int((known == 0).sum()), int((known == 1).sum()))
    assert batch.labels["age"].dtype == torch.float32
    assert data.info.labels["age"].unit == "years"
    assert data.info.orientation


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"root": None}, r"root=None: it must be a folder with train\.csv"),
        ({"root": "absent"}, r"data\.root: there is no folder .*absent"),
        ({"view": "lateral"}, r"view='lateral': it must be one of: frontal, pa, ap, all"),
        ({"uncertain": "maybe"}, r"uncertain='maybe': it must be one of: ignore, zeros, ones"),
        ({"per_patient": "last"}, r"per_patient='last'"),
        ({"split": "random"}, r"split='random'"),
        ({"channels": 2}, r"channels=2"),
        ({"on_error": "ask"}, r"on_error='ask'"),
        ({"size": 0}, r"size=0"),
        ({"test_fraction": 1}, r"test_fraction=1"),
        ({"target": "oedema"}, r"CheXpert has no such label.*did you mean edema"),
        ({"target": "no_finding"}, r"data\.target=no_finding: none of \d+ training images is positive"),
        ({"macro": {"a": [0], "b": [1]}}, r"CheXpert has no classes to make macro classes of"),
        ({"fraction": 0.001}, r"leave no .* image of the .* patients"),
    ],
)
def test_settings_that_cannot_work(chexpert_root, settings, message):
    with pytest.raises((SettingError, UserError), match=message):
        _ = CheXpert(**{"root": chexpert_root, "size": SIZE, **settings}).info


@pytest.mark.parametrize("per_patient", ["first", "all"])
def test_patients_in_both_official_lists_are_refused(tmp_path, per_patient):
    root = nih_folder(tmp_path)
    test = root / "test_list.txt"
    names = test.read_text().split()
    (root / "train_val_list.txt").write_text((root / "train_val_list.txt").read_text() + "\n" + names[0])
    test.write_text("\n".join(names[1:]))
    with pytest.raises(UserError, match="1 patients are in the official training and test lists"):
        _ = NIH(root=root, split="official", per_patient=per_patient).records

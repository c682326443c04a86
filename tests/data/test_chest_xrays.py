import itertools
import re
import shutil

import pytest
import torch

from gat_lightning.data import NIH, CheXpert, Digits, chexpert, nih
from gat_lightning.errors import SettingError, UserError
from support.xray_folders import NIH_2020, SIZE, chexpert_folder, chexpert_header, chexpert_line, nih_folder

pytest.importorskip("pandas", reason="needs gat-lightning[medical]")

DATA = {"chexpert": (CheXpert, chexpert_folder), "nih": (NIH, nih_folder)}


@pytest.fixture
def chexpert_root(tmp_path):
    return chexpert_folder(tmp_path)


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


def test_an_image_has_its_own_labels(tmp_path):
    write(
        tmp_path,
        chexpert_line(patient(1), age="121", edema="1.0", lung_opacity="1.0", support_devices="1.0"),
        chexpert_line(patient(1, 2), age="60", no_finding="1.0", pneumonia="0.0"),
        chexpert_line(patient(2), no_finding="1.0", edema="1.0", fracture="-1.0", support_devices="1.0"),
    )
    names = ("edema", "lung_opacity", "no_finding", "pneumonia", "support_devices", "fracture")

    def labels(per_patient):
        found = CheXpert(root=tmp_path, per_patient=per_patient).records.labels
        return list(zip(*(found[name].tolist() for name in names), strict=True)), found["age"]

    own, age = labels("first")
    assert own == [(1, 1, 0, -1, 1, -1), (0, 0, 1, 0, 1, 0)]
    assert age.isnan().tolist() == [True, False]
    every, _ = labels("all")
    assert every == [own[0], (0, 0, 1, 0, -1, 0), own[1]]
    merged, age = labels("merged")
    assert merged == [(0, 0, 1, 0, 1, 0), own[1]]
    assert age.tolist() == pytest.approx([0.6, 0.5])


def test_test_images_have_their_own_labels(tmp_path, chexpert_root):
    table = chexpert_root / "valid.csv"
    lines = [
        chexpert_line(f"CheXpert-v1.0/valid/patient{64541 + number}/study{study}/view1_frontal.jpg", **labels)
        for number in range(3)
        for study, labels in ((1, {"edema": "1.0"}), (2, {"no_finding": "1.0"}))
    ]
    table.write_text("\n".join([chexpert_header(), *lines]) + "\n")
    data = CheXpert(root=chexpert_root, split="official")
    test = data.parts["test"]
    assert data.records.labels["edema"][test].tolist() == [1, 1, 1]
    assert data.records.labels["no_finding"][test].tolist() == [0, 0, 0]
    assert data.records.labels["fracture"][test].tolist() == [-1, -1, -1]


def test_the_first_image_of_chexpert_is_that_of_the_earliest_study(tmp_path):
    later, lateral, second, first = (
        chexpert_line(path, side=side, view=view, edema=edema)
        for path, side, view, edema in (
            (patient(1, 10), "Frontal", "AP", "0.0"),
            ("CheXpert-v1.0/train/patient00001/study1/view1_lateral.jpg", "Lateral", "", "0.0"),
            ("CheXpert-v1.0/train/patient00001/study2/view10_frontal.jpg", "Frontal", "PA", "0.0"),
            ("CheXpert-v1.0/train/patient00001/study2/view9_frontal.jpg", "Frontal", "AP", "1.0"),
        )
    )

    def chosen(**settings):
        return CheXpert(root=tmp_path, **settings).records

    for order in ((later, lateral, second, first), (first, second, lateral, later), (second, later, first, lateral)):
        write(tmp_path, *order)
        assert chosen().paths == ("train/patient00001/study2/view9_frontal.jpg",)
        assert chosen().labels["edema"].tolist() == [1]
        assert chosen(view="pa").paths == ("train/patient00001/study2/view10_frontal.jpg",)
        assert chosen(view="all").paths == ("train/patient00001/study1/view1_lateral.jpg",)
        frontal = next(line for line in order if line != lateral)
        assert chosen(per_patient="merged").paths == (frontal.split(",")[0].removeprefix("CheXpert-v1.0/"),)


def test_the_first_image_of_nih_is_that_of_the_lowest_follow_up(tmp_path):
    lines = [
        f"00000001_{index:03d}.png,No Finding,{study},1,50,F,PA,8,10,0.1,0.1" for index, study in ((0, 10), (1, 9))
    ]
    (tmp_path / nih.TABLES[0]).write_text("\n".join([NIH_2020, *lines]))
    assert NIH(root=tmp_path).records.paths == ("images/00000001_001.png",)
    assert NIH(root=tmp_path, per_patient="merged").records.paths == ("images/00000001_000.png",)


UNCERTAIN = {"ignore": -1, "zeros": 0, "ones": 1}


@pytest.mark.parametrize(
    ("per_patient", "split", "training", "held_out"),
    [
        *(("first", "patients", *each) for each in itertools.product(UNCERTAIN, repeat=2)),
        ("merged", "patients", "ones", "ignore"),
        ("all", "official", "zeros", "ignore"),
        ("first", "official", "ignore", "ones"),
    ],
)
def test_uncertain_labels_of_training_and_of_held_out_images(tmp_path, training, held_out, per_patient, split):
    write(tmp_path, *(chexpert_line(patient(number), edema="-1.0", fracture="1.0") for number in range(1, 41)))
    shutil.copy(tmp_path / "train.csv", tmp_path / "valid.csv")
    text = (tmp_path / "valid.csv").read_text().replace("/train/patient00", "/valid/patient90")
    (tmp_path / "valid.csv").write_text(text)
    settings = {"uncertain": training, "per_patient": per_patient, "split": split}
    given = {} if held_out == "ignore" else {"uncertain_eval": held_out}
    labels = CheXpert(root=tmp_path, **settings, **given).split_labels()
    for name, meaning in (("train", training), ("val", held_out), ("test", held_out)):
        assert set(labels[name]["edema"].tolist()) == {UNCERTAIN[meaning]}
        assert set(labels[name]["fracture"].tolist()) == {1}


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
        ({"uncertain_eval": "maybe"}, r"uncertain_eval='maybe': it must be one of: ignore, zeros, ones"),
        ({"split_seed": -1}, r"split_seed=-1"),
        ({"split_seed": 0.5}, r"split_seed=0\.5"),
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

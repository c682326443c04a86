"""Pictures without a row and rows without a picture, in the official layouts."""

import pytest

from gat_lightning.data import NIH, ROBIN, CheXpert
from gat_lightning.data.robin import CLASSES
from support.robin_folders import fill
from support.xray_folders import SIZE, chexpert_folder, nih_folder

pytest.importorskip("pandas", reason="needs gat-lightning[medical]")


def cut(table, share=0.5):
    """Cut a table at a row boundary; the lines that are left out."""
    lines = table.read_text().splitlines(keepends=True)
    kept = 1 + round(share * (len(lines) - 1))
    table.write_text("".join(lines[:kept]))
    return lines[kept:]


def warnings(caplog):
    return [record.message for record in caplog.records if "in no row" in record.message]


def ready(make, root, **settings):
    if make is not ROBIN:
        settings["target"] = "age"
    data = make(root=root, size=SIZE, batch_size=8, **settings)
    data.setup()
    return data


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_table_of_chexpert_is_said(tmp_path, caplog, share):
    root = chexpert_folder(tmp_path)
    lost = [line.split(",")[0].partition("/")[2] for line in cut(root / "train.csv", share)]
    data = ready(CheXpert, root)
    [said] = warnings(caplog)
    assert said.startswith(f"{len(lost)} of 120 pictures in {root} are in no row of the table, which may be truncated")
    assert all(repr(path) in said for path in sorted(lost)[:10])
    assert data.inventory.unnamed == sorted(lost)


@pytest.mark.parametrize("unpacked", ["archives", "one"])
def test_a_truncated_table_of_nih_is_said(tmp_path, caplog, unpacked):
    root = nih_folder(tmp_path, unpacked=unpacked)
    lost = [line.split(",")[0] for line in cut(root / "Data_Entry_2017_v2020.csv")]
    data = ready(NIH, root)
    assert [said[:17] for said in warnings(caplog)] == ["40 of 80 pictures"]
    assert sorted(path.rpartition("/")[2] for path in data.inventory.unnamed) == sorted(lost)


def test_folders_of_which_no_row_is_left_are_listed(tmp_path):
    root = nih_folder(tmp_path)
    table = root / "Data_Entry_2017_v2020.csv"
    header, *lines = table.read_text().splitlines(keepends=True)
    first = {path.name for path in (root / "images_001" / "images").iterdir()}
    table.write_text(header + "".join(line for line in lines if line.split(",")[0] in first))
    assert len(NIH(root=root).inventory.unnamed) == 40


def test_views_that_are_not_chosen_and_unusable_rows_are_named_too(tmp_path, caplog):
    root = chexpert_folder(tmp_path)
    table = root / "train.csv"
    table.write_text(table.read_text().replace(",7,Frontal", ",n/a,Frontal"))
    data = ready(CheXpert, root, on_error="skip", view="pa")
    assert len(data.records.faults) == 2
    assert data.inventory == (120, [], [])
    assert not warnings(caplog)


def test_a_whole_table_and_a_cache_that_has_been_made_say_nothing(tmp_path, caplog):
    root = chexpert_folder(tmp_path / "chexpert")
    ready(CheXpert, root, split="official")
    assert not warnings(caplog)
    cut(root / "train.csv")
    ready(CheXpert, root, cache=tmp_path / "cache")
    assert len(warnings(caplog)) == 1
    ready(CheXpert, root, cache=tmp_path / "cache")
    assert len(warnings(caplog)) == 1


def test_rows_without_a_picture(tmp_path):
    root = chexpert_folder(tmp_path)
    gone = root / "train" / "patient00003" / "study3" / "view1_lateral.jpg"
    gone.unlink()
    assert ready(CheXpert, root).inventory == (119, [], [str(gone.relative_to(root))])


def test_a_truncated_table_of_robin_is_said(tmp_path, caplog):
    fill(tmp_path / "ROBIN-cls-train", CLASSES, 5)
    table = tmp_path / "train.csv"
    table.write_text("path;class\n" + "".join(f"{number}.png;{name}\n" for name in CLASSES for number in range(5)))
    lost = [line.strip().split(";") for line in cut(table, 0.4)]
    data = ready(ROBIN, tmp_path, csv=table)
    assert [said[:17] for said in warnings(caplog)] == ["30 of 50 pictures"]
    assert data.inventory.unnamed == sorted(f"ROBIN-cls-train/{name}/{path}" for path, name in lost)
    assert ready(ROBIN, tmp_path).inventory is None


def test_files_of_other_endings_in_robins_folders(tmp_path, caplog):
    fill(tmp_path / "ROBIN-cls-train", CLASSES, 5)
    (tmp_path / "ROBIN-cls-train" / "car" / "a.heic").touch()
    assert len(ready(ROBIN, tmp_path).records.paths) == 50
    assert f"Left out in {tmp_path}: 1 .heic ('ROBIN-cls-train/car/a.heic')" in caplog.messages

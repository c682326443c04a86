"""Tables and pictures as people have edited, re-saved, cut off and lost them."""

import numpy as np
import pytest
import torch
from PIL import Image

from gat_lightning.data import NIH, ROBIN, CheXpert, nih
from gat_lightning.data.pictures import inspect_picture
from gat_lightning.errors import UserError
from support.xray_folders import SIZE, chexpert_folder, chexpert_line, nih_folder

pytest.importorskip("pandas", reason="needs gat-lightning[medical]")


@pytest.fixture
def root(tmp_path):
    return chexpert_folder(tmp_path)


def chexpert(root, **settings):
    return CheXpert(**{"root": root, "size": SIZE, "per_patient": "all", **settings})


def add(root, *lines):
    with (root / "train.csv").open("a") as file:
        file.write("\n".join(lines) + "\n")


def path(patient):
    return f"CheXpert-v1.0/train/patient{patient:05d}/study1/view1_frontal.jpg"


def spoil(root):
    """Eight bad rows, of seven kinds, and the names of their pictures."""
    folder = root / "train"
    whole = (folder / "patient00003" / "study1" / "view1_frontal.jpg").read_bytes()
    (folder / "patient00003" / "study1" / "view1_frontal.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "patient00004" / "study1" / "view1_frontal.jpg").unlink()
    (folder / "patient00005" / "study2" / "view1_frontal.jpg").write_bytes(b"")
    add(
        root,
        chexpert_line(path(1)),
        chexpert_line(path(901), edema="2.0"),
        chexpert_line(path(902), sex="Femal"),
        chexpert_line(path(903), age="-3"),
        chexpert_line(path(904), age="old"),
        chexpert_line("CheXpert-v1.0/train/study1/view1_frontal.jpg"),
    )
    return {
        "2 unknown label": ["patient00901/study1/view1_frontal.jpg': Edema='2.0'", "Sex='Femal'"],
        "1 duplicate row": ["patient00001/study1"],
        "1 negative age": ["Age='-3'"],
        "1 age that is not a number": ["Age='old'"],
        "1 row without an official path": ["train/study1"],
        "1 missing picture": ["patient00004/study1"],
        "2 unreadable picture": [
            "patient00003/study1/view1_frontal.jpg': ",
            "patient00005/study2/view1_frontal.jpg': empty",
        ],
    }


def assert_names_all(message, expected):
    assert "9 of 86 rows" in message
    for kind, names in expected.items():
        assert kind in message
        for name in names:
            assert name in message


def test_all_faults_are_in_one_message(root):
    expected = spoil(root)
    with pytest.raises(UserError) as caught:
        _ = chexpert(root).info
    assert_names_all(str(caught.value), expected)
    assert "data.on_error=skip" in str(caught.value)


def test_what_is_skipped_is_named_once_and_all_else_is_kept(root, caplog):
    clean = chexpert(root)
    kept = {split: {clean.records.paths[row] for row in rows} for split, rows in clean.parts.items()}
    expected = spoil(root)
    data = chexpert(root, on_error="skip", batch_size=8)
    data.setup()
    assert len(caplog.records) == 1
    assert_names_all(caplog.text, expected)
    lost = {"train/patient00003/study1", "train/patient00004/study1", "train/patient00005/study2"}
    for split, paths in kept.items():
        rows = data.split(split).rows
        found = {data.records.paths[row] for row in rows}
        assert found == {path for path in paths if path.rpartition("/")[0] not in lost}
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        assert all((batch.labels["gender"] >= 0).all() for batch in loader)


def test_other_rows_of_an_nih_table(tmp_path):
    root = nih_folder(tmp_path, patients=20)
    table = root / nih.TABLES[0]
    row = ",0,7,30,F,PA,8,10,0.1,0.1"
    extra = ["00000001_000.png,Edema" + row, "00000099_000.png,Oedema" + row, "00000098_000.png,No Finding|Edema" + row]
    table.write_text(table.read_text() + "\n".join([*extra, "00000097_000.png,Edema,0,x,30,F,PA,8,10,0.1,0.1"]) + "\n")
    with pytest.raises(UserError) as caught:
        _ = NIH(root=root, size=SIZE).info
    for part in ("1 duplicate row", "2 unknown label", "Finding Labels='Oedema'", "1 patient without a number"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"train\.csv is empty"),
        (
            b"Path;Sex;Age;Frontal/Lateral;AP/PA\n",
            r"has a semicolon between its columns; it must be a comma",
        ),
        (b"Path\tSex\tAge\n", r"train\.csv has a tab between its columns"),
        (
            b"Path,Sex,Age\nx,Male,3\n",
            r"no column 'Frontal/Lateral', 'AP/PA', 'No Finding'.*; it has 'Path', 'Sex'",
        ),
        (b"\xff\xfeP\x00a\x00", r"train\.csv is not in UTF-8"),
        (b'Path,"Sex\n1', r"train\.csv cannot be read as a table"),
        (None, r"There is no file .*train\.csv"),
    ],
)
def test_tables_that_are_none(tmp_path, content, message):
    if content is not None:
        (tmp_path / "train.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        _ = chexpert(tmp_path).info


def test_a_header_alone(root):
    table = root / "train.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match="has a header and no rows"):
        _ = chexpert(root).info


def test_byte_order_marks_and_windows_lines_do_not_matter(root):
    expected = chexpert(root).records
    table = root / "train.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))
    found = chexpert(root).records
    assert found.paths == expected.paths
    assert all(
        torch.equal(found.labels[name], expected.labels[name]) for name in ("edema", "fracture", "support_devices")
    )


def test_sixteen_bit_pictures_are_read(root):
    file = root / "train" / "patient00001" / "study1" / "view1_frontal.jpg"
    Image.fromarray(np.full((SIZE, SIZE), 257 * 99, np.uint16)).save(file, "PNG")
    assert inspect_picture(file) is None
    data = chexpert(root)
    data.setup()
    row = data.records.paths.index("train/patient00001/study1/view1_frontal.jpg")
    split = next(name for name, rows in data.parts.items() if row in rows)
    position = data.split(split).rows.tolist().index(row)
    assert (data.split(split)[position].images * 255).round().unique().tolist() == [99]


def test_trailing_bytes_do_not_make_a_picture_unsound(root):
    file = root / "train" / "patient00001" / "study1" / "view1_frontal.jpg"
    file.write_bytes(file.read_bytes() + bytes(10_000))
    assert inspect_picture(file) is None


def damage_inside(root):
    """A picture whose beginning and end are sound."""
    for file in sorted((root / "train").glob("*/*/view1_frontal.jpg")):
        Image.fromarray(np.zeros((SIZE, SIZE), np.uint8)).save(file, "PNG")
        content = bytearray(file.read_bytes())
        start = content.index(b"IDAT") + 6
        content[start : start + 6] = b"\xff" * 6
        file.write_bytes(content)
        assert inspect_picture(file) is None


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_damage_that_shows_late_stops_with_the_pictures_name(root, workers):
    data = chexpert(root, workers=workers)
    data.setup()
    damage_inside(root)
    with pytest.raises(UserError) as caught:
        list(data.train_dataloader())
    message = str(caught.value)
    assert message.startswith("A picture cannot be read, though")
    assert "view1_frontal.jpg" in message
    assert "Traceback" not in message


def test_damage_that_shows_late_takes_the_labels_away(root, caplog):
    data = chexpert(root, on_error="skip")
    data.setup()
    damage_inside(root)
    for _ in range(2):
        for batch in data.val_dataloader():
            assert (batch.images == 0).all()
            for name, label in batch.labels.items():
                assert (label.isnan() if name == "age" else label == -1).all()
    assert len(caplog.records) == 1
    assert not data.split("val").labels["age"].isnan().any()


def test_a_nuisance_table_is_checked_too(tmp_path):
    for cls in ("car", "bus", "aeroplane", "bicycle", "boat", "chair", "diningtable", "motorbike", "sofa", "train"):
        folder = tmp_path / "ROBIN-cls-train" / cls
        folder.mkdir(parents=True)
        for number in range(4):
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / f"{number}.png")
    table = tmp_path / "labels.csv"
    rows = [
        "0.png;car;1;;;;",
        "1.png;bus;;;;;rain",
        "1.png;bus;;;;;",
        "9.png;car;;;;;",
        "2.png;cat;;;;;",
        "3.png;car;1;1;;;",
    ]
    table.write_text("path;class;shape;pose;texture;context;weather\n" + "\n".join(rows))
    with pytest.raises(UserError) as caught:
        _ = ROBIN(root=tmp_path, csv=table, size=4).info
    for part in ("1 duplicate row", "1 missing picture ('car/9.png')", "class='cat'", "'car/3.png': shape, pose"):
        assert part in str(caught.value)
    records = ROBIN(root=tmp_path, csv=table, size=4, on_error="skip").records
    nuisance = {path: int(n) for path, n in zip(records.paths, records.labels["nuisance"], strict=True) if n >= 0}
    assert nuisance == {"ROBIN-cls-train/car/0.png": 0, "ROBIN-cls-train/bus/1.png": 4}

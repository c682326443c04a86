from functools import partial

import pytest
import torch
from rich.console import Console

from gat_lightning.commands.statistics import run, summarise
from gat_lightning.data import CheXpert, Digits
from gat_lightning.errors import UserError
from support.commands import command
from support.configurations import composed
from support.xray_folders import chexpert_folder, chexpert_header, chexpert_line


def cells(table):
    columns = [list(column.cells) for column in table.columns]
    return [column.header for column in table.columns], {row[0]: row[1:] for row in zip(*columns, strict=True)}


def test_numbers_are_those_of_the_splits(tmp_path):
    pytest.importorskip("pandas", reason="needs gat-lightning[medical]")
    data = CheXpert(root=chexpert_folder(tmp_path), per_patient="all")
    for path in tmp_path.rglob("*.jpg"):
        path.unlink()  # no picture is opened
    people, labels = map(cells, summarise(data))
    assert people[0] == ["", "listed", "all", "train", "val", "test"]
    sizes = [len(data.parts[split]) for split in ("train", "val", "test")]
    assert sum(sizes) == 80
    assert people[1]["images"] == ("120", "80", *map(str, sizes))
    assert people[1]["patients"] == ("40", "40", *(str(size // 2) for size in sizes))
    assert people[1]["pathology labels"] == ("14",) * 5
    ages = torch.arange(1.0, 41).repeat(3)
    assert people[1]["age: mean (std)"][0] == f"{ages.mean():.1f} ({ages.std():.1f})"
    assert people[1]["female"][0] == "50.0%"
    for split, column in zip(("train", "val", "test"), zip(*labels[1].values(), strict=True), strict=False):
        assert len(column) == len(labels[1]), split
    for position, split in enumerate(("train", "val", "test"), 1):
        label = data.records.labels["edema"][data.parts[split]]
        assert labels[1]["edema"][position] == f"{int((label == 1).sum())}/{int((label == 0).sum())}"
    sums = [tuple(map(int, cell.split("/"))) for cell in labels[1]["edema"]]
    assert sums[0] == tuple(map(sum, zip(*sums[1:], strict=True)))


def test_both_readings_of_chest_x_ray_labels_are_counted(tmp_path, capsys):
    pytest.importorskip("pandas", reason="needs gat-lightning[medical]")
    header, path = chexpert_header(), "CheXpert-v1.0/train/patient{:05d}/study{}/view1_frontal.jpg"
    lines = [header]
    for patient in range(1, 31):
        lines.append(chexpert_line(path.format(patient, 2), no_finding="1.0", pneumonia="0.0"))
        lines.append(chexpert_line(path.format(patient, 1), edema="1.0"))
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n")
    for chosen in ("first", "merged"):
        run(composed("statistics", "data=chexpert", f"data.root={tmp_path}", f"data.per_patient={chosen}"))
        rows = [line for line in capsys.readouterr().out.splitlines() if "│ edema " in line or "per_patient" in line]
        said = {"first": "data.per_patient=first", "merged": "data.per_patient=merged (paper, Table 7)"}
        counts = {"first": "30/0", "merged": "0/30"}
        for name, title, edema in zip((chosen, *({*said} - {chosen})), rows[::2], rows[1::2], strict=True):
            assert f"Labels with {said[name]}:" in title
            assert edema.split("│")[2].strip() == counts[name]


def test_bad_rows_are_named_first(tmp_path):
    pytest.importorskip("pandas", reason="needs gat-lightning[medical]")
    table = chexpert_folder(tmp_path) / "train.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[-1] + "\n")
    with pytest.raises(UserError, match=r"1 of 41 rows in .* cannot be used: 1 duplicate row"):
        summarise(CheXpert(root=tmp_path))


def test_any_data_set(capsys):
    people, labels = map(cells, summarise(Digits()))
    assert people[1] == {"images": ("1,797", "1,293", "144", "360")}
    assert sum(int(row[0]) for name, row in labels[1].items() if name.startswith("class")) == 1797
    assert labels[1]["macro loop"][0] == "713"
    Console().print(*summarise(Digits()))
    assert "macro loop" in capsys.readouterr().out


@pytest.mark.slow
def test_the_command(tmp_path):
    data = partial(command, module="gat_lightning.data", cwd=tmp_path)
    done = data("statistics", "data=digits")
    assert done.returncode == 0
    assert "macro no_loop" in done.stdout
    assert not list(tmp_path.iterdir())
    done = data("statistics", "data=nih")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: NIH ChestX-ray14 needs data.root=FOLDER")
    done = data()
    assert done.returncode == 1
    assert "Usage: python -m gat_lightning.data statistics" in done.stderr

"""Figures of a report are compared within one data set and threat alone."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gat_lightning.commands.report import run
from gat_lightning.reporting.conditions import data_name
from gat_lightning.reporting.records import collect
from gat_lightning.runs.metric_names import MetricName
from support.run_records import ATTACK, cells, config, evaluation, table, training, write

DIGITS: dict[str, Any] = {"_target_": "gat_lightning.data.Digits", "target": "class"}
PETS: dict[str, Any] = {"_target_": "gat_lightning.data.Images", "root": "pictures/pets", "target": "class"}


def on(folder: Path, task: str, data: dict[str, Any], accuracy: float, **more: Any) -> Path:
    typed = [f"data={data['_target_'].rpartition('.')[2].lower()}", f"task={task}"]
    name = f"{'-'.join(typed)}-{accuracy}"
    return training(folder, name, typed=typed, accuracy=accuracy, task=task, data=data, **more)


def tables(tmp_path: Path) -> dict[str, str]:
    """Those of ``tables.md``, by title."""
    table(tmp_path)
    parts = re.split(r"^## (.*)\n", (tmp_path / "out" / "tables.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_each_data_set_has_its_table_front_and_best(tmp_path: Path) -> None:
    for data, scores in ((DIGITS, (0.8, 0.7)), (PETS, (0.3, 0.2))):
        for task, accuracy in zip(("macro", "none"), scores, strict=True):
            path = on(tmp_path / "runs", task, data, accuracy) / "result.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"images": 1000}))
    found = tables(tmp_path)
    assert list(found) == ["Digits, L∞, ε = 8/255", "Images pictures/pets, L∞, ε = 8/255"]
    assert ["**80.0 (" in text for text in found.values()] == [True, False]
    assert ["**30.0 (" in text for text in found.values()] == [False, True]
    html = (tmp_path / "out" / "report.html").read_text()
    for title in found:
        assert f"<h2>{title}</h2>" in html
    tex = (tmp_path / "out" / "tables.tex").read_text()
    for data, label in (("Digits", "digits"), ("Images pictures/pets", "images-pictures-pets")):
        assert f"\\caption{{Results on {data}, attacks in $L_\\infty$ with $\\varepsilon = 8/255$." in tex
        assert f"\\label{{tab:{label}-linf-8-255}}" in tex
    assert len(list((tmp_path / "out" / "figures").glob("*/front.png"))) == 2
    with (tmp_path / "out" / "results.csv").open() as file:
        conditions = {row["conditions"] for row in csv.DictReader(file)}
    assert conditions == {"Digits, Linf 8/255", "Images pictures/pets, Linf 8/255"}
    assert html.count("2 trainings and 0 evaluations of 2 settings, checkpoint best") == 2


def test_each_threat_has_its_table(tmp_path: Path) -> None:
    for eps, accuracy in (("4/255", 0.8), ("8/255", 0.4)):
        on(tmp_path / "runs", "none", DIGITS, accuracy, test={"attack": ATTACK | {"eps": eps}})
    assert list(tables(tmp_path)) == ["Digits, L∞, ε = 4/255", "Digits, L∞, ε = 8/255"]


def test_one_data_set_has_its_figures_in_no_folder_of_their_own(tmp_path: Path) -> None:
    on(tmp_path / "runs", "none", DIGITS, 0.8)
    assert list(tables(tmp_path)) == ["Digits, L∞, ε = 8/255"]
    assert (tmp_path / "out" / "figures" / "front.png").is_file()


def test_an_evaluation_on_other_data_is_beside_theirs(tmp_path: Path) -> None:
    evaluated = evaluation(on(tmp_path / "runs", "none", DIGITS, 0.8), "pets", 0.1, pgd20=ATTACK)
    result = json.loads((evaluated / "result.json").read_text())
    result["config"]["data"] = PETS
    (evaluated / "result.json").write_text(json.dumps(result))
    digits, pets = tables(tmp_path).values()
    assert "80.0" in digits
    assert "10.0 (6.6 to 14.9)" in pets
    assert "80.0" not in pets


@pytest.mark.parametrize(("eps", "count"), [("8/255", 1), ("4/255", 2)])
def test_an_export_stands_beside_models_under_the_same_threat(tmp_path: Path, eps: str, count: int) -> None:
    on(tmp_path / "runs", "none", DIGITS, 0.8)
    directory = tmp_path / "runs" / "export-evaluated"
    directory.mkdir()
    attack = ATTACK | {"eps": eps}
    chosen = {"checkpoint": "export/best.safetensors", "data": DIGITS, "attack": attack, "images": None}
    chosen["evaluation"] = {"pgd20": {"attack": attack}}
    write(directory, config=chosen, trained=None, metrics={"best": {"test/pgd20/accuracy": 0.9}}, images=360)
    records, _ = collect([tmp_path / "runs"])
    assert len({record.conditions for record in records}) == count
    assert all(MetricName("test", "pgd20", "accuracy") in record.scores("best") for record in records)


def test_mcnemar_compares_within_the_data_set_alone(tmp_path: Path) -> None:
    right = [True] * 30 + [False] * 10
    for data in (DIGITS, PETS):
        for task in ("macro", "none"):
            evaluation(on(tmp_path / "runs", task, data, 0.8), "a", 0.75, right, 40, pgd20=ATTACK)
    run(config(f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}", "baseline='data=digits task=none'"))
    html = (tmp_path / "out" / "report.html").read_text()
    assert "classified correctly under PGD-20 (Linf 8/255), over 40 test images, seed by seed" in html
    assert "covers 1 test;" in html


def test_mcnemar_says_of_each_setting_what_it_compares_where_they_differ(tmp_path: Path) -> None:
    trained = {task: on(tmp_path / "runs", task, DIGITS, 0.8) for task in ("macro", "none", "rotation")}
    for count, task, attacks in ((40, "macro", ("pgd20",)), (50, "rotation", ("pgd20", "square"))):
        for each in (task, "none"):
            chosen = dict.fromkeys(attacks, ATTACK)
            evaluation(trained[each], f"{count}", 0.5, [True, False] * (count // 2), count, **chosen)
    run(config(f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}", "baseline='task=none'"))
    rows = {row[0]: row[5] for row in cells(tmp_path / "out" / "report.html") if len(row) == 6 and row[1] == "0"}
    worst = "the worst of PGD-20 (Linf 8/255) and Square (Linf 8/255)"
    assert rows == {
        "task=macro": "PGD-20 (Linf 8/255), over 40 test images",
        "task=rotation": f"{worst}, over 50 test images",
    }


def test_pictures_are_the_same_data_set_where_their_folder_was_moved() -> None:
    assert data_name(PETS | {"root": "/scratch/pets"}, PETS) == data_name(PETS, PETS) == "Images pictures/pets"
    assert data_name(PETS | {"root": "pictures/cars"}, PETS) == "Images pictures/cars"
    assert data_name(DIGITS | {"target": "macro"}) == "Digits macro"

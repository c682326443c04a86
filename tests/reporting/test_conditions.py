"""Figures of a report are compared within one data set and threat alone."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gat_lightning.commands.report import run
from gat_lightning.reporting.records import collect, data_name
from gat_lightning.runs.metric_names import MetricName
from support.run_records import ATTACK, config, evaluation, table, training, write

DIGITS: dict[str, Any] = {"_target_": "gat_lightning.data.Digits", "target": "class"}
PETS: dict[str, Any] = {"_target_": "gat_lightning.data.Images", "root": "pictures/pets", "target": "class"}


def on(folder: Path, task: str, data: dict[str, Any], accuracy: float, **more: Any) -> Path:
    typed = [f"data={data['_target_'].rpartition('.')[2].lower()}", f"task={task}"]
    name = f"{'-'.join(typed)}-{accuracy}"
    return training(folder, name, typed=typed, accuracy=accuracy, task=task, data=data, **more)


def tables(tmp_path: Path) -> dict[str, str]:
    """Of ``tables.md``, by title."""
    table(tmp_path)
    parts = re.split(r"^## (.*)\n", (tmp_path / "out" / "tables.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_each_data_set_has_its_table_front_and_best(tmp_path: Path) -> None:
    for data, scores in ((DIGITS, (0.8, 0.7)), (PETS, (0.3, 0.2))):
        for task, accuracy in zip(("macro", "none"), scores, strict=True):
            on(tmp_path / "runs", task, data, accuracy)
    found = tables(tmp_path)
    assert list(found) == ["Digits, Linf 8/255", "Images pictures/pets, Linf 8/255"]
    assert ["**80.0**" in text for text in found.values()] == [True, False]
    assert ["**30.0**" in text for text in found.values()] == [False, True]
    html = (tmp_path / "out" / "report.html").read_text()
    for title in found:
        assert f"<h2>Results: {title}</h2>" in html
        assert f"<h2>Clean and robust: {title}</h2>" in html
        assert f"% {title}\n" in (tmp_path / "out" / "tables.tex").read_text()
    assert len(list((tmp_path / "out" / "figures").glob("*/front.png"))) == 2
    with (tmp_path / "out" / "results.csv").open() as file:
        assert {row["conditions"] for row in csv.DictReader(file)} == set(found)


def test_each_threat_has_its_table(tmp_path: Path) -> None:
    for eps, accuracy in (("4/255", 0.8), ("8/255", 0.4)):
        on(tmp_path / "runs", "none", DIGITS, accuracy, test={"attack": ATTACK | {"eps": eps}})
    assert list(tables(tmp_path)) == ["Digits, Linf 4/255", "Digits, Linf 8/255"]


def test_one_data_set_has_one_table_without_a_title(tmp_path: Path) -> None:
    on(tmp_path / "runs", "none", DIGITS, 0.8)
    assert tables(tmp_path) == {}
    assert (tmp_path / "out" / "figures" / "front.png").is_file()


def test_an_evaluation_on_other_data_is_beside_theirs(tmp_path: Path) -> None:
    evaluated = evaluation(on(tmp_path / "runs", "none", DIGITS, 0.8), "pets", 0.1, pgd20=ATTACK)
    result = json.loads((evaluated / "result.json").read_text())
    result["config"]["data"] = PETS
    (evaluated / "result.json").write_text(json.dumps(result))
    digits, pets = tables(tmp_path).values()
    assert "80.0" in digits
    assert "| 10.0 | 10.0 |" in pets


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
    assert html.count("- Model") == 1
    assert "classified rightly under pgd20 (Linf 8/255), over 40 test images:" in html


def test_mcnemar_says_of_each_setting_what_it_compares_where_they_differ(tmp_path: Path) -> None:
    trained = {task: on(tmp_path / "runs", task, DIGITS, 0.8) for task in ("macro", "none", "rotation")}
    for count, task, attacks in ((40, "macro", ("pgd20",)), (50, "rotation", ("pgd20", "square"))):
        for each in (task, "none"):
            chosen = dict.fromkeys(attacks, ATTACK)
            evaluation(trained[each], f"{count}", 0.5, [True, False] * (count // 2), count, **chosen)
    run(config(f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}", "baseline='task=none'"))
    html = (tmp_path / "out" / "report.html").read_text()
    assert "task=macro, seed 0: under pgd20 (Linf 8/255), over 40 test images" in html
    worst = "the worst of pgd20 (Linf 8/255) and square (Linf 8/255) (view worst)"
    assert f"task=rotation, seed 0: under {worst}, over 50 test images" in html


def test_pictures_are_the_same_data_set_where_their_folder_was_moved() -> None:
    assert data_name(PETS | {"root": "/scratch/pets"}, PETS) == data_name(PETS, PETS) == "Images pictures/pets"
    assert data_name(PETS | {"root": "pictures/cars"}, PETS) == "Images pictures/cars"
    assert data_name(DIGITS | {"target": "macro"}) == "Digits macro"

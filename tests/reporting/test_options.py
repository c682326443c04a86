"""Settings of a run by the names of their options."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gat_lightning.config.files import find_conf, plain
from gat_lightning.reporting.groups import group
from gat_lightning.reporting.labels import labels
from gat_lightning.reporting.options import options
from gat_lightning.reporting.records import Record, collect
from gat_lightning.runs.result import TrainingResult
from support.configurations import composed
from support.run_records import training


def flat(*typed: str) -> dict[str, str]:
    return record(*typed).settings


def record(*typed: str) -> Record:
    config = plain(composed("train", "experiment=quickstart", "paths.run=here", *typed))
    return Record(find_conf(), TrainingResult(config=json.loads(json.dumps(config))))


@pytest.mark.parametrize(
    ("node", "option"),
    [(node, path.stem) for node in ("method", "weighting") for path in sorted((find_conf() / node).glob("*.yaml"))],
)
def test_every_option_is_named(node: str, option: str) -> None:
    required = ["weighting.weights={class/adv:1}"] if option == "fixed" else []
    found = options(flat(f"{node}={option}", *required)).chosen
    assert found[node] == option
    assert not [name for name in found if name.startswith(f"{node}.") and option != "fixed"]


def test_what_an_option_does_not_give_is_a_word_of_its_own() -> None:
    found = options(flat("weighting=mgda", "weighting.rescale=true", "task=macro+jigsaw", "task.jigsaw.grid=2")).chosen
    assert {name: found[name] for name in ("task", "weighting", "weighting.rescale", "task.jigsaw.grid")} == {
        "task": "macro+jigsaw", "weighting": "mgda", "weighting.rescale": "true", "task.jigsaw.grid": "2",
    }  # fmt: skip
    assert options(flat("task=none", "method=fat")).chosen["task"] == "none"


def test_settings_that_follow_others_are_named_where_they_were_typed() -> None:
    runs = [[record("method=fat")], [record("method=fat", "method.steps=5")], [record("method=trades")]]
    assert [each.text for each in labels(runs)] == [
        "method=fat method.steps=10", "method=fat method.steps=5", "method=trades method.steps=10",
    ]  # fmt: skip


def test_few_differences_are_named_in_full_and_many_from_the_base_setting() -> None:
    few = [["task=none"], ["task=macro"], ["task=none", "weighting=equal"], ["task=macro", "weighting=equal"]]
    assert [each.text for each in labels([[record(*typed)] for typed in few])] == [
        "task=none weighting=mgda_floor", "task=macro weighting=mgda_floor",
        "task=none weighting=equal", "task=macro weighting=equal",
    ]  # fmt: skip
    many: list[list[str]] = [["method=fat", "task=none"], [], ["weighting=equal"], ["weighting=mgda"],
                             ["weighting=mgda", "weighting.rescale=true"], ["curvature.mode=off"]]  # fmt: skip
    found = labels([[record(*typed)] for typed in many])
    assert [each.text for each in found] == [
        "task=none method=fat", "base setting", "weighting=equal", "weighting=mgda",
        "weighting=mgda weighting.rescale=true", "curvature.mode=off",
    ]  # fmt: skip
    assert found[1].words == {
        "task": "macro+rotation", "weighting": "mgda_floor", "method": "madry_separate", "curvature.mode": "objective",
    }  # fmt: skip


def test_a_label_is_short_and_unique_in_a_folder_of_all_kinds(tmp_path: Any) -> None:
    for number in range(12):
        weighting = {"_target_": "gat_lightning.weighting.MGDA", "floor": None, "rescale": number % 2 == 1}
        training(
            tmp_path, str(number), weighting=weighting, task=f"t{number // 2}", trainer={"max_epochs": number // 4}
        )
    found = [each.label for each in group(collect([tmp_path])[0])]
    assert len(set(found)) == 12
    assert max(map(len, found)) < 70

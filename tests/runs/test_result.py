import json
import math

import pytest

from gat_lightning.runs.result import EvaluationResult, TrainingResult, read_result, write_result


@pytest.mark.parametrize(
    "result",
    [
        TrainingResult(config={"seed": 3}, metrics={"best": {"epoch": 2, "test/clean/accuracy": 0.5}}, epochs=2),
        TrainingResult(status="finished", config={}, resumed="RUN/last.ckpt", images=0, git={"dirty": False}),
        EvaluationResult(config={"split": "test"}, trained={"seed": 1}, notes=["fab was left out"]),
        EvaluationResult(config={}, trained=None, audit={"passed": True}, files={"images": ["images/attack.png"]}),
    ],
)
def test_a_result_is_read_as_it_was_written(tmp_path, result):
    write_result(tmp_path, result)
    assert read_result(tmp_path) == result


def test_keys_of_a_training(tmp_path):
    content = json.loads(write_result(tmp_path, TrainingResult(config={})).read_text())
    common = {
        "schema",
        "status",
        "config",
        "seed",
        "started",
        "durations",
        "files",
        "metrics",
        "checks",
        "git",
        "versions",
        "device",
        "engine",
    }
    assert set(content) == common | {
        "resumed",
        "epochs",
        "skipped_batches",
        "unlabeled",
        "introduction",
        "warnings",
        "summary",
    }
    assert content["schema"] == 1
    assert content["resumed"] is None
    assert content["git"] is None


def test_what_was_not_measured_has_no_key(tmp_path):
    content = json.loads(write_result(tmp_path, EvaluationResult(config={}, images=7, audit={})).read_text())
    assert content["trained"] is None
    assert content["images"] == 7
    assert content["audit"] == {}
    assert not {"transfer", "vulnerability", "task_gradients", "resumed", "epochs"} & set(content)


def test_results_of_other_versions_are_read_as_far_as_they_are_known(tmp_path):
    content = {"schema": 1, "status": "finished", "config": {"seed": 1}, "metrics": {}, "added_later": 1}
    (tmp_path / "result.json").write_text(json.dumps(content))
    assert read_result(tmp_path) == TrainingResult(status="finished", config={"seed": 1})
    (tmp_path / "result.json").write_text(json.dumps(content | {"trained": None}))
    assert read_result(tmp_path) == EvaluationResult(status="finished", config={"seed": 1}, trained=None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged, or not one of ours"),
        ("[]", "damaged, or not one of ours"),
        ('{"loss": 1}', "damaged, or not one of ours"),
        ('{"schema": 2, "status": "finished"}', "schema 2, and this version reads 1"),
        ('{"schema": 1, "status": "finished", "config": {}}', "lacks its configuration or its metrics"),
        ('{"schema": 1, "status": "finished", "config": 3, "metrics": {}}', "lacks its configuration or its metrics"),
    ],
)
def test_what_is_no_result(tmp_path, content, message):
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_result(tmp_path)


def test_paths_are_relative_to_the_run_or_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "outputs" / "run"
    run.mkdir(parents=True)
    here, outside = str(tmp_path / "data"), str(tmp_path.parent / "data.npz")
    config = {"paths": {"run": str(run), "data": here}, "callbacks": [f"{run}/checkpoints"], "data": outside}
    write_result(run, TrainingResult(config={**config, "name": "run"}, resumed=f"{run}/checkpoints/last.ckpt"))
    found = read_result(run)
    assert found.config == {
        "paths": {"run": ".", "data": "data"}, "callbacks": ["checkpoints"], "data": outside, "name": "run"
    }  # fmt: skip
    assert found.resumed == "checkpoints/last.ckpt"


def test_what_json_cannot_say_is_null(tmp_path):
    path = write_result(tmp_path, TrainingResult(config={"best": (1.5, math.nan, math.inf, -math.inf)}))
    assert json.loads(path.read_text())["config"] == {"best": [1.5, None, None, None]}

import json
import math

from gat_lightning.runs.result import read_result, write_result


def test_paths_under_the_current_folder_are_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "outputs" / "run"
    run.mkdir(parents=True)
    inside, outside = str(run / "checkpoints"), str(tmp_path.parent / "data.npz")
    write_result(run, {"config": {"paths": {"run": str(run)}, "callbacks": [inside]}, "data": outside, "name": "run"})
    found = read_result(run)
    assert found["config"] == {"paths": {"run": "outputs/run"}, "callbacks": ["outputs/run/checkpoints"]}
    assert (found["data"], found["name"]) == (outside, "run")


def test_what_json_cannot_say_is_null(tmp_path):
    path = write_result(tmp_path, {"metrics": {"best": (1.5, math.nan, math.inf, -math.inf)}})
    assert json.loads(path.read_text())["metrics"] == {"best": [1.5, None, None, None]}

"""One W&B run over interruptions: its id, its rows, its best scores, and what its own process took with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

from gat_lightning.errors import UserError
from gat_lightning.loggers.wandb import logger
from gat_lightning.runs.result import read_result
from support.processes import finished, only_run, rows_logged, start, wait_for
from support.training_runs import rows
from support.wandb_file import WandbFile, paths_of, records
from support.wandb_parts import offline, part, wandb_core_of

TESTS = Path(__file__).parents[1]
SETTINGS = ("seed", "attack", "weighting", "optimizer", "task", "data", "curvature", "trainer", "method")


@pytest.fixture
def run(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_RUN_ID", "WANDB_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_the_best_score_is_that_of_all_parts(run):
    part(run, None, {10: 0.2, 20: 0.2759})
    part(run, 20, {30: float("nan"), 40: 0.2414}, "finished")
    first, second = map(WandbFile.at, paths_of(run))
    assert first.run.run_id == second.run.run_id
    assert first.summary["val/pgd2/accuracy"] == second.summary["val/pgd2/accuracy"] == {"max": 0.2759}
    assert second.summary["val/clean/age/mae"] == {"min": 0.2}


def test_rows_are_in_one_part_only(run):
    part(run, None, {10: 0.2, 20: 0.3, 30: 0.4})
    part(run, 20, {30: 0.4, 40: 0.5}, "finished")
    steps = [[row["trainer/global_step"] for row in WandbFile.at(path).history] for path in paths_of(run)]
    assert steps == [[10, 20, 30], [30, 40]]


@pytest.mark.slow
def test_a_part_whose_process_was_ended_is_logged_again(run):
    program = [sys.executable, "-m", "support.wandb_parts", run]
    own = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}  # the tests' own process
    done = subprocess.run(program, cwd=TESTS, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if "has ended" in line] == [
        "W&B's own process has ended. The run goes on; what W&B lacks is logged when it is resumed."
    ]
    assert "Traceback" not in done.stderr
    first, lost, last = paths_of(run)
    assert "history" not in {record.WhichOneof("record_type") for record in records(lost)}
    first, last = WandbFile.at(first), WandbFile.at(last)
    assert [[row["trainer/global_step"] for row in part.history] for part in (first, last)] == [[10], [20, 30, 40, 50]]
    assert [row for row in rows(run) if not (first.has(row) or last.has(row))] == []
    assert last.summary["val/pgd2/accuracy"] == {"max": 0.5}


def test_the_id_of_the_environment_is_taken_by_a_new_run_and_kept_by_its_resume(run, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "agents-own-id")
    part(run, None, {10: 0.1})
    monkeypatch.delenv("WANDB_RUN_ID")
    part(run, 10, {20: 0.1}, "finished")
    assert (run / "wandb_id.txt").read_text() == "agents-own-id\n"
    assert [WandbFile.at(path).run.run_id for path in paths_of(run)] == 2 * ["agents-own-id"]


NODE = OmegaConf.create({"mode": RunMode.MULTIRUN, "runtime": {"choices": {}}, "overrides": {"task": ["seed=0,1"]}})


def test_one_id_is_not_for_several_runs(run, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "agents-own-id")
    monkeypatch.setattr(logger.HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(logger.HydraConfig, "get", lambda: NODE)
    with pytest.raises(UserError, match="WANDB_RUN_ID=agents-own-id names one W&B run, but -m starts several"):
        part(run, None, {})


@pytest.mark.slow
@pytest.mark.parametrize("loses_its_process", [False, True])
def test_the_files_of_an_interrupted_training_have_all_of_it(tmp_path, loses_its_process):
    overrides = ("logger=wandb", "weighting=mgda", "seed=3", "trainer.max_epochs=3")
    process = start(tmp_path, *overrides, before=offline)
    wait_for(lambda: rows_logged(tmp_path) > 10, process)
    if loses_its_process:
        os.kill(wandb_core_of(process.pid), signal.SIGTERM)
        before = rows_logged(tmp_path)
        wait_for(lambda: rows_logged(tmp_path) > before, process)
    os.kill(process.pid, signal.SIGTERM)
    assert finished(process, tmp_path) == 143
    process = start(tmp_path, *overrides, "resume=auto", before=offline)
    assert finished(process, tmp_path) == 0, (tmp_path / "log.txt").read_text()
    run = only_run(tmp_path)
    result, logged, files = read_result(run), rows(run), paths_of(run)
    assert len(files) == 2
    parts = [WandbFile.at(path) for path in files[loses_its_process:]]
    assert [each.exit_code for each in parts] == [255, 0][loses_its_process:]
    for each in parts:
        assert each.run.run_id == (run / "wandb_id.txt").read_text().strip()
        assert {name: each.config[name] for name in SETTINGS} == {name: result.config[name] for name in SETTINGS}
        assert each.config["choices"]["weighting"] == "mgda"
        assert {"weighting=mgda", "seed=3", "task=macro+rotation"} <= set(each.run.tags)
        assert "experiment=quickstart" in each.run.run_group
        assert "seed" not in each.run.run_group
    assert len({(each.run.run_group, *each.run.tags) for each in parts}) == 1
    assert [row for row in logged if not any(each.has(row) for each in parts)] == []
    figures = [row for each in parts for row in each.history if not any("." in name for name in row)]
    assert len(figures) == len(logged)
    summary = parts[-1].summary
    for checkpoint in ("best", "last"):
        assert {name: summary[f"{checkpoint}/{name}"] for name in result.metrics[checkpoint]} == result.metrics[
            checkpoint
        ]
    for name in ("val/selection", "val/clean/accuracy", "val/pgd2/accuracy"):
        assert summary[name] == {"max": max(float(row[name]) for row in logged if row[name])}
    assert summary["epoch"] == float(logged[-1]["epoch"])
    assert summary["status"] == "finished"

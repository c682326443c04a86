"""One W&B run over interruptions: its id, its rows, its best scores, and what its own process took with it."""

import gc
import os
import signal
import subprocess
import warnings

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

from gat_lightning.errors import UserError
from gat_lightning.loggers import CSVLogger
from gat_lightning.loggers.wandb import WandbLogger, logger
from support.training_runs import rows
from support.wandb_file import WandbFile, paths_of, records


@pytest.fixture
def run(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_RUN_ID", "WANDB_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def part(run, resumed_at, scores, status="interrupted", lose_process_after=None):
    """Log validation scores by step, as a run does between its start and its end."""
    loggers = [CSVLogger(run), WandbLogger(run, "test")]
    for each in loggers:
        each.begin({}, resumed_at)
    for step, score in scores.items():
        for each in loggers:
            each.log_metrics({"epoch": step // 10, "val/pgd2/accuracy": score, "val/clean/age/mae": score}, step)
        if step == lose_process_after:
            end_wandb_core()
    for each in loggers:
        each.end(status, {})


def end_wandb_core():
    """What SLURM does, whose signal goes to every process of a job."""
    found = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    (core,) = (int(line.split()[0]) for line in found if "wandb-core" in line and f"--pid {os.getpid()}" in line)
    os.kill(core, signal.SIGTERM)
    os.waitpid(core, 0)


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


def test_a_part_whose_process_was_ended_is_logged_again(run, caplog):
    part(run, None, {10: 0.1})
    part(run, 10, {20: 0.2, 30: 0.3, 40: 0.4}, lose_process_after=30)
    said = [each.message for each in caplog.records if each.name.startswith("gat_lightning")]
    assert [message.partition(".")[0] for message in said] == ["W&B's own process has ended"]
    lost = paths_of(run)[-1]
    assert "history" not in {record.WhichOneof("record_type") for record in records(lost)}
    part(run, 30, {40: 0.4, 50: 0.5}, "finished")
    last = WandbFile.at(paths_of(run)[-1])
    assert [row["trainer/global_step"] for row in last.history] == [20, 30, 40, 50]
    assert [row for row in rows(run)[1:] if not last.has(row)] == []
    assert last.summary["val/pgd2/accuracy"] == {"max": 0.5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of the process that W&B did not see end
        gc.collect()


def test_the_id_of_the_environment_is_taken_by_a_new_run_and_kept_by_its_resume(run, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "agents-own-id")
    part(run, None, {10: 0.1})
    monkeypatch.delenv("WANDB_RUN_ID")
    part(run, 10, {20: 0.1}, "finished")
    assert (run / "wandb_id.txt").read_text() == "agents-own-id\n"
    assert [WandbFile.at(path).run.run_id for path in paths_of(run)] == 2 * ["agents-own-id"]


NODE = OmegaConf.create(
    {"mode": RunMode.MULTIRUN, "runtime": {"choices": {}}, "overrides": {"task": ["seed=0,1"]}}
)


def test_one_id_is_not_for_several_runs(run, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "agents-own-id")
    monkeypatch.setattr(logger.HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(logger.HydraConfig, "get", lambda: NODE)
    with pytest.raises(UserError, match="WANDB_RUN_ID=agents-own-id names one W&B run, but -m starts several"):
        part(run, None, {})

"""Runs that are online, on a server of the tests' own that speaks W&B's protocol."""

import os
import subprocess
import sys
import time

import pytest

from gat_lightning.errors import UserError
from gat_lightning.loggers.wandb import WandbLogger, session
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.result import TrainingResult, write_result
from support.wandb_file import WandbFile, paths_of
from support.wandb_parts import CONFIG, part
from support.wandb_server import wandb_server

KEY = "0123456789abcdef0123456789abcdef01234567"
SCORE = {"evaluate/pgd20-1a2b3c4d/best/test/pgd20/accuracy": 0.4}
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def server():
    with wandb_server() as server:
        yield server


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run directory, with a key but no server so far."""
    for name in ("WANDB_MODE", "WANDB_RUN_ID", "WANDB_NAME", "WANDB_ERROR_REPORTING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", NOWHERE)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    session.wandb.teardown()  # which has read the environment of an earlier test
    yield tmp_path / "run"
    session.wandb.teardown()


def steps(run):
    return [(row["_step"], row["epoch"], row["trainer/global_step"]) for row in run.history]


def test_a_run_and_its_resume_are_one_run_of_the_server(run, server, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    part(run, None, {10: 0.2, 20: 0.2759})
    part(run, 20, {30: float("nan"), 40: 0.2414}, "finished")
    (served,) = server.runs.values()
    assert served.name == (run / "wandb_id.txt").read_text().strip()
    assert (served.project, served.fields["displayName"], served.fields["jobType"]) == ("test", "run", "train")
    assert steps(served) == [(0, 1, 10), (1, 2, 20), (2, 3, 30), (3, 4, 40)]
    assert served.summary["val/pgd2/accuracy"] == {"max": 0.2759}
    assert served.summary["status"] == "finished"
    assert served.exit_codes == [255, 0]
    assert paths_of(run) == []


def test_wandb_sends_no_telemetry_about_itself_whose_faults_would_be_in_the_log(run, server, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    server.fails["/sdk/"] = 503
    part(run, None, {10: 0.2}, "finished")
    session.wandb.teardown()
    assert len(server.runs) == 1
    assert [path for path in server.paths if path.startswith("/sdk/")] == []


def test_the_machine_and_the_person_are_not_sent(run, server, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    part(run, None, {10: 0.2}, "finished")
    (served,) = server.runs.values()
    assert not {"host", "repo", "commit", "description"} & served.fields.keys()
    assert set(served.files) == {"config.yaml", "wandb-summary.json"}
    sent = repr(served)
    assert not [word for word in (str(run), os.uname().nodename) if word in sent]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [2.0, session._SECONDS_TO_CONNECT])
@pytest.mark.parametrize("status", [None, 500])
def test_a_server_out_of_reach_or_out_of_order_leaves_the_run_offline(
    run, server, monkeypatch, caplog, seconds, status
):
    monkeypatch.setattr(session, "_SECONDS_TO_CONNECT", seconds)
    if status is not None:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        server.fails["/"] = status
    started = time.monotonic()
    part(run, None, {10: 0.2, 20: 0.3}, "finished")
    assert time.monotonic() - started < seconds + 15
    assert [record.levelname for record in caplog.records if not record.name.startswith("wandb")] == ["WARNING"]
    assert "W&B cannot be reached" in caplog.text
    assert [row["trainer/global_step"] for row in WandbFile(run).history] == [10, 20]


def evaluate(run):
    """An evaluation of a training that has ended."""
    write_result(run, TrainingResult(status="finished", config={}, metrics={"best": {"test/clean/accuracy": 0.9}}))
    WandbLogger(run.parent / "evaluation", "test", tags=["x"]).log_evaluation({"seed": 9}, SCORE, RunDirectory(run))


def assert_evaluated(served):
    """Its scores are in the run of the training, which is otherwise as it was."""
    fields = [served.fields.get(name) for name in ("displayName", "jobType", "tags")]
    assert fields == ["run", "train", None]
    assert served.config["seed"] == CONFIG["seed"]
    expected = {"val/pgd2/accuracy": {"max": 0.3}, "epoch": 4, "status": "finished", "best/test/clean/accuracy": 0.9}
    assert served.summary | expected | SCORE == served.summary
    assert served.exit_codes == [255, 0, 0]


def test_an_evaluation_is_in_the_run_of_the_training(run, server, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    part(run, None, {10: 0.2, 20: 0.3})
    part(run, 20, {30: 0.1, 40: 0.2}, "finished")
    evaluate(run)
    (served,) = server.runs.values()
    assert_evaluated(served)
    assert steps(served) == [(0, 1, 10), (1, 2, 20), (2, 3, 30), (3, 4, 40)]


def test_a_refusal_by_the_server_is_an_error_at_once(run, server, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    server.fails["/graphql"] = 401
    with pytest.raises(UserError, match=r"W&B cannot start: .*error 401.*Set WANDB_MODE=offline"):
        part(run, None, {10: 0.2})


def test_an_evaluation_that_the_server_refuses_is_kept_offline(run, server, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    server.fails["/graphql"] = 401
    WandbLogger(run, "test").log_evaluation({}, SCORE, None)
    assert "W&B refuses the run" in caplog.text
    assert WandbFile(run).summary | SCORE == WandbFile(run).summary


def synced(server, *paths):
    """The runs after ``wandb sync`` of a command line."""
    own = {name: value for name, value in os.environ.items() if name not in ("WANDB_MODE", "WANDB_SERVICE")}
    command = [sys.executable, "-m", "wandb", "sync", *map(str, paths)]
    done = subprocess.run(command, env=own | {"WANDB_BASE_URL": server.url}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return server.runs


@pytest.mark.slow
def test_one_command_uploads_a_sweep_with_a_resumed_run_and_an_evaluation(run, server, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    part(run, None, {10: 0.2, 20: 0.3})
    time.sleep(1.0)  # wandb sorts the parts of a run by the second of their start
    part(run, 20, {30: 0.1, 40: 0.2}, "finished")
    time.sleep(1.0)
    evaluate(run)
    part(run.parent / "other", None, {10: 0.5}, "finished")
    runs = synced(server, *run.parent.glob("*/wandb/offline-run-*"))
    first, second = (runs.pop((path / "wandb_id.txt").read_text().strip()) for path in (run, run.parent / "other"))
    assert runs == {}
    assert steps(first) == [(0, 1, 10), (1, 2, 20), (2, 3, 30), (3, 4, 40)]
    assert steps(second) == [(0, 1, 10)]
    assert_evaluated(first)


@pytest.mark.slow
def test_what_a_failing_server_did_not_get_is_uploaded_later(run, server, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "2")
    logger = WandbLogger(run, "test")
    logger.begin(CONFIG, None)
    server.fails["/"] = 500
    for epoch in range(3):
        logger.log_metrics({"epoch": epoch, "val/pgd2/accuracy": 0.1 * epoch}, 10 * epoch)
    logger.end("finished", {})
    (served,) = server.runs.values()
    assert served.history == []
    server.fails.clear()
    synced(server, "--include-online", *run.glob("wandb/run-*"))
    assert steps(served) == [(0, 0, 0), (1, 1, 10), (2, 2, 20)]
    assert served.summary["val/pgd2/accuracy"] == {"max": 0.2}

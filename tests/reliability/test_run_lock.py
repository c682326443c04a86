"""Two runs in one directory: the second refuses and touches nothing, and a dead one does not stand in the way."""

import os
from threading import Timer

import pytest

from gat_lightning.errors import UserError
from gat_lightning.runs import lock
from gat_lightning.runs.lock import FILE, only_run_in
from gat_lightning.runs.result import read_result
from support.processes import finished, holding, only_run, rows_logged, start, start_command, wait_for


@pytest.fixture
def holder(tmp_path):
    """Another process at work in ``tmp_path``."""
    with holding(tmp_path) as process:
        yield process


def refused(directory):
    try:
        with only_run_in(directory):
            return None
    except UserError as error:
        return str(error)


@pytest.mark.slow
def test_a_second_process_is_refused_until_the_first_has_ended(holder, tmp_path):
    message = refused(tmp_path)
    assert f"(process {holder.pid} on " in message
    assert "name=..." in message
    before = (tmp_path / FILE).read_text()
    assert refused(tmp_path / "another") is None
    assert (tmp_path / FILE).read_text() == before
    holder.kill()
    holder.join()
    assert refused(tmp_path) is None


@pytest.mark.slow
def test_a_requeued_job_waits_for_the_claim_of_a_node_that_died(holder, tmp_path, monkeypatch):
    assert f"If that machine has died, delete '{tmp_path / FILE}'" in refused(tmp_path)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    monkeypatch.setattr(lock, "SECONDS_FOR_DEAD_NODES", 0.1)
    assert "Another run is at work" in refused(tmp_path)
    monkeypatch.setattr(lock, "SECONDS_FOR_DEAD_NODES", 60)
    Timer(0.5, holder.kill).start()
    assert refused(tmp_path) is None


@pytest.mark.slow
def test_without_its_file_the_claim_of_a_machine_that_died_is_gone(holder, tmp_path):
    (tmp_path / FILE).unlink()
    assert holder.is_alive()
    assert refused(tmp_path) is None


def test_a_finished_run_leaves_no_claim(tmp_path):
    for _ in range(2):
        with only_run_in(tmp_path / "new"):
            assert (tmp_path / "new" / FILE).read_text().startswith(f"process {os.getpid()} on ")


def test_an_error_in_the_run_ends_the_claim_and_is_heard(tmp_path):
    with pytest.raises(OSError, match="of the run"), only_run_in(tmp_path):
        raise OSError("of the run")
    assert refused(tmp_path) is None


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"cannot be written to \(.*\)\. Set paths\.output=FOLDER"),
        only_run_in(tmp_path / "file" / "run"),
    ):
        pass


@pytest.mark.slow
def test_two_commands_at_once(tmp_path):
    settings = ["trainer.max_epochs=4"]
    first, second = start_command(tmp_path, *settings), start_command(tmp_path, *settings)
    statuses = sorted([finished(first, tmp_path), finished(second, tmp_path)])
    log = (tmp_path / "log.txt").read_text()
    assert statuses == [0, 1], log
    assert log.count("Another run is at work in") == 1
    assert "Traceback" not in log
    assert read_result(only_run(tmp_path)).status == "finished"
    assert not list(only_run(tmp_path).glob("checkpoints/.*"))
    alone = tmp_path / "alone"
    assert finished(start(alone, *settings), alone) == 0
    assert read_result(only_run(alone)).metrics == read_result(only_run(tmp_path)).metrics


@pytest.mark.slow
def test_workers_of_a_dead_run_do_not_keep_its_claim(tmp_path):
    settings = ["trainer.max_epochs=4", "data.workers=2"]
    process = start_command(tmp_path, *settings)
    wait_for(lambda: rows_logged(tmp_path), process)
    process.kill()
    process.wait()
    assert finished(start_command(tmp_path, *settings, "resume=auto"), tmp_path) == 0, (
        tmp_path / "log.txt"
    ).read_text()

"""SIGTERM and Ctrl-C: the state is saved within seconds, result.json says what happened, and resume=auto goes on."""

import os
import signal
import time

import pytest

from gat_lightning.commands.train import assembly
from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.runs.result import read_result
from support.processes import assert_same_end, finished, only_run, rows_logged, start, start_command, wait_for

SECONDS = 5
EPOCHS = "trainer.max_epochs=4"


def seconds_waiting(pid):
    """How long a process has been ready to run while other processes had the processors."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[1]) / 1e9


def ended(process, number):
    """Send the signal: how long the command took to end, and how much of it a busy machine took."""
    sent, before = time.monotonic(), seconds_waiting(process.pid)
    process.send_signal(number)
    while True:
        waiting = seconds_waiting(process.pid)
        if process.poll() is not None:
            return time.monotonic() - sent, waiting - before
        assert time.monotonic() - sent < 300
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_told_to_stop_in_training_and_resumed(tmp_path, number):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    process = start_command(stopped, EPOCHS, "callbacks.last.minutes=10")
    wait_for(lambda: rows_logged(stopped) > 8, process)
    took, waited = ended(process, number)
    assert process.returncode == 128 + number
    run = only_run(stopped)
    result = read_result(run)
    assert (result.status, result.metrics) == ("interrupted", {})
    steps = load_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"]
    log = (stopped / "log.txt").read_text()
    assert "Interrupted; the same command with resume=auto goes on from" in log
    assert "Traceback" not in log
    print(f"{number.name} after {steps} steps: {took:.1f} s, of which it waited {waited:.1f} s for a processor")
    assert took - waited < SECONDS
    assert finished(start(stopped, EPOCHS, "callbacks.last.minutes=10", "resume=auto"), stopped) == 0
    assert finished(start(whole, EPOCHS), whole) == 0
    assert_same_end(only_run(whole), run)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_told_to_stop_in_the_test_and_resumed(tmp_path, number):
    settings = ["test.attack.steps=300", "trainer.max_epochs=1"]
    process = start(tmp_path, *settings)
    wait_for(lambda: "epoch 1/1" in (tmp_path / "log.txt").read_text(), process)
    time.sleep(1)
    os.kill(process.pid, number)
    assert finished(process, tmp_path, SECONDS) == 128 + number
    assert "Traceback" not in (tmp_path / "log.txt").read_text()
    result = read_result(only_run(tmp_path))
    assert (result.status, result.metrics) == ("interrupted", {})
    assert finished(start(tmp_path, *settings, "resume=auto"), tmp_path) == 0
    assert list(read_result(only_run(tmp_path)).metrics) == ["best", "last"]


@pytest.mark.slow
def test_told_to_stop_before_training(tmp_path):
    process = start(tmp_path, before=slow_reading)
    wait_for(lambda: any(tmp_path.glob("outputs/*/.lock")), process)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGTERM)
    assert finished(process, tmp_path, SECONDS) == 128 + signal.SIGTERM
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def slow_reading():
    assembly.build_data = lambda config: time.sleep(60)

"""SIGTERM and Ctrl-C: the state is saved within seconds, result.json says what happened, and resume=auto goes on."""

import os
import signal
import time

import pytest
from commands import assert_same_end, finished, only_run, rows_logged, start, start_command, wait_for

from gat_lightning import train
from gat_lightning.checkpoint import load_checkpoint
from gat_lightning.result import read_result

SECONDS = 5
EPOCHS = "trainer.max_epochs=4"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_told_to_stop_in_training_and_resumed(tmp_path, number):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    other = start(whole, EPOCHS)
    process = start_command(stopped, EPOCHS, "callbacks.last.minutes=10")
    wait_for(lambda: rows_logged(stopped) > 8, process)
    os.kill(process.pid, number)
    sent = time.monotonic()
    assert finished(process, stopped) == 128 + number
    took = time.monotonic() - sent
    run = only_run(stopped)
    result = read_result(run)
    assert (result["status"], result["metrics"]) == ("interrupted", {})
    steps = load_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"]
    log = (stopped / "log.txt").read_text()
    assert "resume=auto goes on from" in log
    assert "Traceback" not in log
    print(f"{number.name}: {took:.1f} s, {steps} steps done")
    assert finished(start(stopped, EPOCHS, "callbacks.last.minutes=10", "resume=auto"), stopped) == 0
    assert finished(other, whole) == 0
    assert_same_end(only_run(whole), run)
    assert took < SECONDS


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
    assert (result["status"], result["metrics"]) == ("interrupted", {})
    assert finished(start(tmp_path, *settings, "resume=auto"), tmp_path) == 0
    assert list(read_result(only_run(tmp_path))["metrics"]) == ["best", "last"]


@pytest.mark.slow
def test_told_to_stop_before_training(tmp_path):
    process = start(tmp_path, before=slow_reading)
    wait_for(lambda: any(tmp_path.glob("outputs/*/.lock")), process)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGTERM)
    assert finished(process, tmp_path, SECONDS) == 128 + signal.SIGTERM
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


def slow_reading():
    train.build_data = lambda config: time.sleep(60)

"""A signal ends a process that waits for others, which Python alone would not hear."""

import multiprocessing
import os
import signal
import time

import pytest
import torch.distributed as dist

from gat_lightning.runs import signals
from gat_lightning.runs.signals import Stopped, stopping_at_once


def wait_for_another(port, started):
    signals.SECONDS_TO_HEED = 0.3
    with stopping_at_once():
        started.set()
        dist.TCPStore("127.0.0.1", port, world_size=2, is_master=True, wait_for_workers=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_waiting_for_another_process_is_ended(free_port, number):
    context = multiprocessing.get_context("fork")
    started = context.Event()
    process = context.Process(target=wait_for_another, args=(free_port, started))
    process.start()
    try:
        assert started.wait(20)
        time.sleep(0.3)
        assert process.is_alive()
        os.kill(process.pid, number)
        process.join(20)
        assert process.exitcode == 128 + number
    finally:
        process.kill()


def test_whoever_hears_the_signal_is_not_ended(monkeypatch):
    monkeypatch.setattr(signals, "SECONDS_TO_HEED", 0.05)
    numbers = []
    with stopping_at_once():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped as stopped:
            numbers.append(stopped.number)
            time.sleep(0.2)
    assert numbers == [signal.SIGTERM]


def test_whoever_listens_in_training_has_all_the_time_it_needs(monkeypatch):
    monkeypatch.setattr(signals, "SECONDS_TO_HEED", 0.05)
    listening = signals.StopSignals()
    with stopping_at_once():
        listening.listen()
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.2)
        listening.restore()
    assert listening.received == signal.SIGTERM


def test_what_was_there_before_comes_back():
    before = [signal.getsignal(number) for number in signals.SIGNALS], signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before[1])
    with stopping_at_once():
        pass
    after = [signal.getsignal(number) for number in signals.SIGNALS], signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(after[1])
    assert after == before

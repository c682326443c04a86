"""Training commands in processes of their own, from a server that has imported everything already."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import torch

from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.runs.lock import only_run_in
from gat_lightning.runs.result import read_result
from gat_lightning.train import main
from gat_lightning.training.module import GATModule
from support.training_runs import TINY, deterministic, equal, rows

QUICK = ["experiment=quickstart", *TINY, "callbacks.last.minutes=0"]
"""A checkpoint after every batch."""

STARTED = []
"""Processes of the current test."""


def start(output, *arguments, before=None):
    """The command on ``arguments``, in the folder ``output``, whose ``log.txt`` gets what it says.

    Args:
        before: called in the process, to prepare a fault; of a module, or partial.
    """
    output.mkdir(parents=True, exist_ok=True)
    (output / "log.txt").touch()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gat_lightning.commands.train.run"])
    process = context.Process(target=_main, args=(output, [*QUICK, *arguments], before))
    process.start()
    STARTED.append(process)
    return process


def start_command(output, *arguments):
    """As :func:`start`, by the command line, which a run of several processes calls again."""
    output.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": ""}
    with (output / "log.txt").open("a") as log:
        command = [sys.executable, "-m", "gat_lightning.train", *QUICK, *arguments]
        process = subprocess.Popen(command, cwd=output, env=environment, stdout=log, stderr=subprocess.STDOUT)
    STARTED.append(process)
    return process


def wait_for(condition, process, seconds=240):
    """Until the condition holds, while the process runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert _status(process) is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rows_logged(output):
    """Lines of ``metrics.csv`` so far."""
    return sum(len(path.read_text().splitlines()) for path in output.glob("outputs/*/metrics.csv"))


def finished(process, output, seconds=300):
    """Exit status; an error with the end of what it said if it still runs."""
    deadline = time.monotonic() + seconds
    while _status(process) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _status(process) is not None, (output / "log.txt").read_text()[-3000:]
    return _status(process)


def _status(process):
    return process.poll() if isinstance(process, subprocess.Popen) else process.exitcode


def only_run(output):
    (directory,) = (path.parent for path in output.glob("outputs/*/.hydra"))
    return directory


def assert_same_end(whole, other):
    """The same weights, state of the optimiser, metrics and rows of the log."""
    for name in ("last", "best"):
        first, second = (load_checkpoint(directory / "checkpoints" / f"{name}.ckpt") for directory in (whole, other))
        for key in ("global_step", "epoch", "state_dict", "optimizer_states", "lr_schedulers"):
            assert equal(first[key], second[key]), (name, key)
    results = [read_result(directory) for directory in (whole, other)]
    assert results[0].metrics == results[1].metrics
    assert [result.status for result in results] == ["finished", "finished"]
    first, second = ([deterministic(row) for row in rows(directory)] for directory in (whole, other))
    assert first == second


def _main(output, arguments, before):
    log = os.open(output / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(output)
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": ""}
    sys.argv = ["gat_lightning.train", *arguments]
    if before:
        before()
    main()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_writing(number):
    """In the middle of its so manieth checkpoint."""
    save, left = torch.save, [number]

    def half(content, file):
        left[0] -= 1
        save(content, file)
        if left[0] == 0:
            file.flush()
            os.truncate(file.fileno(), os.path.getsize(file.name) // 2)
            die()

    torch.save = half


def die_in(hook, epoch):
    """When a hook of the module is called in an epoch, counted from 0."""
    original = getattr(GATModule, hook)

    def deadly(self, *arguments):
        if self.current_epoch == epoch:
            die()
        return original(self, *arguments)

    setattr(GATModule, hook, deadly)


@contextmanager
def holding(directory):
    """Another process at work in a run directory; yields it."""
    context = multiprocessing.get_context("forkserver")
    ready = context.Event()
    process = context.Process(target=_hold, args=(directory, ready))
    process.start()
    assert ready.wait(60)
    yield process
    process.kill()
    process.join()


def _hold(directory, ready):
    with only_run_in(directory):
        ready.set()
        time.sleep(300)

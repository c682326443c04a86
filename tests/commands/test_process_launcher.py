"""Evaluations side by side: what each process is given, how it ends, and that none outlives the command."""

import os
import signal
import sys
import threading
import time

import pytest
import torch
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf

from gat_lightning.runs.ranks import PARENT, end_with_parent
from gat_lightning.runs.signals import Stopped, stopping_at_once
from hydra_plugins.gat_lightning_processes import ProcessLauncher, _environment

SCRIPT = """#!/bin/sh
case "$*" in *bad*) echo "a warning" >&2; echo "Error: no such model" >&2; exit 1;; esac
case "$*" in *killed*) kill -9 $$;; esac
case "$*" in *odd*) echo "a warning of a finished one" >&2;; esac
case "$*" in *long*) echo $$ > {folder}/pid; exec sleep 60;; esac
echo "$* threads=$OMP_NUM_THREADS"
"""


@pytest.fixture
def launcher(hydra, monkeypatch):
    """Two processes at a time, of a script in place of Python."""
    script = hydra / "python"
    script.write_text(SCRIPT.format(folder=hydra))
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return ProcessLauncher(2)


def launched(launcher, *points):
    sources = [{"path": "/mine", "provider": "command-line"}, {"path": "/conf", "provider": "main"}]
    config = OmegaConf.create({"device": "cpu", "hydra": {"runtime": {"config_sources": sources}}})
    return launcher.launch_points(points, lambda _: config, None)


def test_each_point_is_a_command_and_a_failure_has_its_message(launcher, capfd, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    points = [[f"checkpoint={name}", "jobs=2", "evaluation=fgsm"] for name in ("a", "bad", "odd", "killed")]
    returns = launched(launcher, *points)
    assert [each.status for each in returns] == [
        JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED, JobStatus.FAILED,
    ]  # fmt: skip
    assert str(returns[1]._return_value) == "no such model"
    assert "ended with -9" in str(returns[3]._return_value)
    shown, said = capfd.readouterr()
    assert sorted(said.splitlines()) == ["a warning", "a warning of a finished one"]
    first, *shown = shown.splitlines()
    assert first.startswith("4 evaluations, 2 at a time.")
    assert sorted(shown) == [
        f"-m gat_lightning.evaluate --config-dir=/mine checkpoint={name} evaluation=fgsm threads=2"
        for name in ("a", "odd")
    ]


def test_a_signal_ends_the_processes_too(launcher, hydra):
    def stop_once_started():
        while not (hydra / "pid").exists() or not (hydra / "pid").read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_once_started, daemon=True).start()
    with pytest.raises(Stopped):
        launched(launcher, ["long"])
    with pytest.raises(ProcessLookupError):
        os.kill(int((hydra / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("count", "visible", "device", "given"),
    [
        (2, None, "auto", ["0", "1", "0"]),
        (2, "3,GPU-5", "cuda", ["3", "GPU-5", "3"]),
        (1, None, "auto", [None] * 3),
        (2, None, "cpu", [None] * 3),
    ],
)
def test_each_process_has_a_gpu_of_its_own_where_there_are_several(count, visible, device, given, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = [_environment(slot, 3, device) for slot in range(3)]
    assert [each.get("CUDA_VISIBLE_DEVICES") for each in found] == given


@pytest.mark.parametrize("jobs", [0, -1, 1.5, "all"])
def test_a_number_of_processes_that_cannot_be_is_refused(jobs):
    with pytest.raises(ValueError, match="jobs"):
        ProcessLauncher(jobs)


@pytest.mark.parametrize("seen", [[7], []], ids=["while it starts", "before it has started"])
def test_a_process_ends_with_the_one_that_started_it(monkeypatch, seen):
    parents = iter(seen)
    monkeypatch.setenv(PARENT, "7")
    monkeypatch.setattr(os, "getppid", lambda: next(parents, 1))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with stopping_at_once(), pytest.raises(Stopped):
        _ = end_with_parent(), threading.Event().wait(10)

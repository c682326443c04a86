"""Dry runs: the largest batch that fits, and the points of a sweep."""

import math
from pathlib import Path

import pytest
import torch
from hydra import compose
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.utils import get_class
from hypothesis import given
from hypothesis import strategies as st

from gat_lightning.commands.dry_run import largest_batch as module
from gat_lightning.commands.dry_run.largest_batch import largest_batch, step_fits
from gat_lightning.runs.directory import first_name
from support.sweeps import sweep

TINY = ["data=digits", "paths.run=run", "data.batch_size=32", "engine.micro_batch=8"]


@given(st.integers(0, 5000), st.integers(2, 600), st.integers(2, 5000))
def test_the_largest_batch_is_found_to_within_an_eighth_in_few_tries(limit, configured, most):
    tried = []

    def fits(size):
        tried.append(size)
        return size <= limit

    found = largest_batch(fits, configured, most)
    assert len(set(tried)) == len(tried) <= 8 + 2 * math.log2(5000)
    assert all(2 <= size <= most for size in tried)
    assert (found is None) == (limit < 2)
    if found is not None:
        possible = min(limit, most)
        assert possible * 8 / 9 - 1 <= found <= possible


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()], ids=repr)
def test_a_step_without_enough_memory_does_not_fit(hydra, monkeypatch, error):
    def refuse(config):
        assert (config.data.batch_size, config.engine.micro_batch) == (256, None)
        raise error

    monkeypatch.setattr(module, "_train_briefly", refuse)
    config = compose("train", TINY)
    assert not step_fits(config, 256)
    assert (config.data.batch_size, config.engine.micro_batch) == (32, 8)


def test_another_error_of_a_step_is_not_hidden(hydra, monkeypatch):
    def fail(_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(module, "_train_briefly", fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        step_fits(compose("train", TINY), 256)


@pytest.mark.slow
def test_a_dry_sweep_lists_its_points_and_measures_those_that_differ_in_more_than_their_seeds(
    hydra, monkeypatch, capsys
):
    measured = []

    def launch(_, job_overrides, initial_job_idx):
        measured.extend(job_overrides)
        return [JobReturn(overrides=each, status=JobStatus.COMPLETED, _return_value=900.0) for each in job_overrides]

    Plugins.instance()
    monkeypatch.setattr(get_class("hydra_plugins.gat_lightning_sweep.BasicLauncher"), "launch", launch)
    words = ["data=digits", "task=none,macro", "seed=0,1,2"]
    names = [
        first_name(compose("train", ["data=digits", f"task={task}", f"seed={seed}"]))
        for task in ("none", "macro")
        for seed in range(3)
    ]
    sweep([*words, "dry_run=true"])
    *table, total = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in table[1:]] == [f"outputs/{name}" for name in names]
    assert all("never started" in line for line in table[1:])
    assert measured == [["data=digits", f"task={task}", "seed=0", "dry_run=true"] for task in ("none", "macro")]
    assert total == "6 runs, one after another on this machine: 1.5 h."
    assert not Path("outputs").exists()

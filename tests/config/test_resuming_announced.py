"""A run says from which checkpoint it goes on, or why from none."""

import json
import logging

import pytest
import torch
from lightning_utilities.core.rank_zero import rank_zero_only

from gat_lightning.config.resuming import announce, progress_of, warn_of_threads
from gat_lightning.runs.directory import run_name
from support.training_runs import tiny


@pytest.fixture
def said(tmp_path, caplog, monkeypatch):
    """What is logged for a run of these overrides, in the directory that it would get."""
    monkeypatch.setattr(rank_zero_only, "rank", 0, raising=False)

    def announced(*overrides, resumed=None):
        config = tiny(tmp_path / "x", f"paths.output={tmp_path}", *overrides)
        config.paths.run = str(tmp_path / run_name(config))
        caplog.clear()
        with caplog.at_level(logging.INFO, "gat_lightning"):
            announce(config, None if resumed is None else progress_of(resumed))
        return config.paths.run, caplog.text

    return announced


def finish(directory):
    directory.mkdir()
    (directory / "result.json").write_text(json.dumps({"status": "finished"}))


def test_a_checkpoint_is_named_with_how_far_it_is(said, quickstart):
    last = quickstart[0] / "checkpoints" / "last.ckpt"
    assert f"Resumed from {last}, saved after 10 steps, in epoch 2 of 2." in said(resumed=last)[1]
    assert "in epoch 2.\n" in said("trainer.max_epochs=-1", resumed=last)[1]


def test_nothing_to_resume(said):
    directory, text = said("resume=auto")
    assert f"Nothing to resume for these settings: {directory} has no checkpoint. Starting anew." in text
    assert "finished" not in text


def test_a_finished_run_is_not_gone_on_with(said, tmp_path):
    first, _ = said("resume=auto")
    finish(tmp_path / first)
    directory, text = said("resume=auto")
    assert directory == f"{first}-2"
    assert f"is finished ({first}). Starting anew in {directory}; skip_finished=true leaves" in text
    finish(tmp_path / directory)
    assert said("resume=auto")[0] == f"{first}-3"


def test_nothing_is_said_of_what_nobody_asked_for(said):
    assert said()[1] == ""


def test_rank_0_alone_speaks(said, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1, raising=False)
    assert said("resume=auto")[1] == ""


@pytest.mark.parametrize(("device", "change", "warned"), [("cpu", 1, True), ("cpu", 0, False), ("cuda", 1, False)])
def test_another_number_of_threads_is_said_on_a_cpu(quickstart, caplog, monkeypatch, device, change, warned):
    monkeypatch.setattr(rank_zero_only, "rank", 0, raising=False)
    progress = progress_of(quickstart[0] / "checkpoints" / "last.ckpt")
    assert progress.threads == quickstart[1]["device"]["threads"] == torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: progress.threads + change)
    warn_of_threads(progress, torch.device(device))
    assert (f"Set OMP_NUM_THREADS={progress.threads} for equal numbers" in caplog.text) == warned


def test_a_checkpoint_of_an_earlier_version_does_not_say_its_threads(quickstart, caplog, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 0, raising=False)
    progress = progress_of(quickstart[0] / "checkpoints" / "last.ckpt")._replace(threads=None)
    warn_of_threads(progress, torch.device("cpu"))
    assert caplog.text == ""

"""A finished run keeps its result when somebody resumes it, and goes on where there is more to train."""

import shutil

import pytest
import torch

from gat_lightning.commands.train.run import run
from gat_lightning.config.resuming import check_unfinished, find_resumable, progress_of
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import record_directory, run_name
from gat_lightning.runs.result import EvaluationResult, read_result, write_result
from support.training_runs import SHORT, tiny, trained


def state_of(directory):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in directory.rglob("*") if path.is_file()}


def of(directory, *overrides):
    return tiny(directory, f"paths.output={directory.parent}", *overrides)


@pytest.fixture
def finished(quickstart, tmp_path):
    """A copy of a finished run under the name of its settings."""
    directory = tmp_path / "outputs" / "x"
    directory.mkdir(parents=True)
    directory = directory.with_name(run_name(of(directory)))
    return shutil.copytree(quickstart[0], directory)


@pytest.mark.parametrize("named", ["", "checkpoints/last.ckpt"])
def test_a_finished_run_that_is_resumed_keeps_its_result(finished, capsys, named):
    config = of(finished, f"resume={finished / named}")
    assert run_name(config) == finished.name
    assert record_directory(config) is None
    before = state_of(finished)
    assert run(config).metrics == read_result(finished).metrics
    assert "Nothing to resume: this run is finished" in capsys.readouterr().out
    assert state_of(finished) == before
    assert [path.name for path in finished.parent.iterdir() if path.name != "x"] == [finished.name]


def test_the_best_checkpoint_of_a_finished_run_begins_another_run(finished):
    assert run_name(of(finished, f"resume={finished}/checkpoints/best.ckpt")) == f"{finished.name}-2"


def test_a_repeated_run_is_found_by_its_number(finished):
    second = shutil.copytree(finished, finished.with_name(f"{finished.name}-2"))
    assert run_name(of(finished, f"resume={second}")) == second.name
    assert run_name(of(finished, f"resume={finished}")) == finished.name
    assert run_name(of(finished, "resume=auto")) == f"{finished.name}-3"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], r"saved after 2 epochs, and trainer.max_epochs=2. Raise that to train on; to score it, run .*evaluate"),
        (["trainer.max_epochs=-1", "+trainer.max_steps=10"], r"saved after 10 steps, and trainer.max_steps=10"),
    ],
)
def test_a_checkpoint_with_nothing_left_to_train_is_refused(finished, tmp_path, overrides, message):
    config, elsewhere = tiny(finished, "schedule=constant", *overrides), tiny(tmp_path / "elsewhere", *overrides)
    progress = progress_of(finished / "checkpoints" / "last.ckpt")
    assert (progress.step, progress.epoch, progress.done) == (10, 2, 2)
    for each in (config, elsewhere):
        with pytest.raises(UserError, match=message):
            check_unfinished(each, progress)


def test_a_run_that_was_stopped_in_its_test_goes_on_with_it(finished):
    (finished / "result.json").unlink()
    check_unfinished(tiny(finished), progress_of(finished / "checkpoints" / "last.ckpt"))


@pytest.mark.usefixtures("undrawn")
def test_a_run_elsewhere_is_refused_before_it_leaves_a_result_without_metrics(finished, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    with pytest.raises(UserError, match="has nothing left to train"):
        trained(elsewhere, f"resume={finished}")
    assert not (elsewhere / "result.json").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_finished_run_goes_on_where_there_are_more_epochs(tmp_path):
    first, longer = tmp_path / "first", tmp_path / "longer"
    settings = [*SHORT, "schedule=constant", "task=none", "weighting=mgda"]
    before = trained(first, *settings)
    kept = state_of(first)
    found = trained(longer, *settings, "trainer.max_epochs=2", f"resume={first}")
    assert (before["epochs"], found["epochs"]) == (1, 2)
    assert found["status"] == "finished"
    assert found["metrics"]["last"]["epoch"] == 2
    assert set(found["metrics"]) == {"best", "last"}
    assert state_of(first) == kept


def test_weights_without_the_state_of_their_training_are_refused(finished, tmp_path):
    path = finished / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    averaged = path.with_name("ema.ckpt")
    torch.save({name: content[name] for name in content if name not in ("loops", "optimizer_states")}, averaged)
    with pytest.raises(UserError, match=r"ema.ckpt' holds weights without the state .*, or .*: init=.*ema.ckpt"):
        trained(tmp_path / "new", f"resume={averaged}")


def test_an_evaluation_is_no_training_to_resume(tmp_path):
    write_result(tmp_path, EvaluationResult(config={}))
    with pytest.raises(UserError, match="is an evaluation, from which no training can go on"):
        find_resumable(str(tmp_path), tmp_path / "run")


@pytest.mark.usefixtures("undrawn")
def test_a_training_that_leaves_no_checkpoint_is_not_finished(tmp_path):
    with pytest.raises(UserError, match=r"has left no checkpoint in .*callbacks=default"):
        trained(tmp_path, *SHORT, "task=none", "weighting=mgda", "~callbacks.best", "~callbacks.last")
    assert read_result(tmp_path).status == "failed"

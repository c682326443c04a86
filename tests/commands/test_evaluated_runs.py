"""``evaluate runs=FOLDER``: which checkpoints it finds, and that it runs what is missing, with equal figures."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose
from hydra._internal.utils import get_args_parser

from gat_lightning.commands.evaluate import settings
from gat_lightning.commands.evaluate.each_run import expanded
from gat_lightning.commands.evaluate.run import run as evaluate
from gat_lightning.commands.evaluate.settings import check_evaluation
from gat_lightning.errors import SettingError, UserError
from gat_lightning.evaluate import as_hydra_reads
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.runs.directory import run_name
from support.commands import command, start
from support.configurations import composed
from support.run_records import training, write
from support.sweeps import sweep

SHORT = ["evaluation=fgsm", "images=4", "batch_size=4", "pictures=false", "device=cpu"]


def with_checkpoints(folder, name, *kinds):
    directory = training(folder, name)
    (directory / "checkpoints").mkdir()
    for kind in kinds or ("best", "last"):
        (directory / "checkpoints" / f"{kind}.ckpt").touch()
    return directory


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two finished runs, one of them deeper, an unfinished one, a pre-training and an evaluation."""
    monkeypatch.chdir(tmp_path)
    folder = Path("runs")
    first = with_checkpoints(folder, "a")
    with_checkpoints(folder / "deeper", "b b,c", "best")
    write(with_checkpoints(folder, "failed"), status="failed", config={}, metrics={})
    with_checkpoints(first, "pretraining")
    inside = first / "evaluations" / "pgd20-0123abcd"
    inside.mkdir(parents=True)
    write(inside, config={}, metrics={}, trained={})
    return folder


def test_the_checkpoints_of_finished_runs_become_a_sweep(folder, capsys):
    words = expanded([f"runs={folder}", "evaluation=pgd20"])
    assert words == [
        "-m",
        "checkpoint=runs/a/checkpoints/best.ckpt,'runs/deeper/b b,c/checkpoints/best.ckpt'",
        "evaluation=pgd20",
    ]
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["Checkpoints of finished runs in runs: 2", "left out: runs/failed: the run has failed"]


@pytest.mark.parametrize(
    ("words", "found", "left_out"),
    [
        (["runs=runs", "checkpoint=last"], ["a/last"], ["deeper/b b,c: it has no checkpoints/last.ckpt"]),
        (["runs=[runs/a,runs/deeper]"], ["a/best", "deeper/b b,c/best"], []),
        (["-m", "runs=runs/a,runs/deeper"], ["a/best", "deeper/b b,c/best"], []),
        (["runs=runs/a", "checkpoint=best,last"], ["a/best", "a/last"], []),
    ],
)
def test_other_checkpoints_and_several_folders(folder, capsys, words, found, left_out):
    (chosen,) = set(expanded(words)) - {"-m"}
    texts = chosen.removeprefix("checkpoint=").replace("'", "")
    assert texts == ",".join(f"runs/{name}.ckpt" for name in found).replace("/best", "/checkpoints/best").replace(
        "/last", "/checkpoints/last"
    )
    printed = capsys.readouterr().out
    assert all(f"left out: runs/{text}" in printed for text in left_out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runs=nowhere"], r"no finished run with a best.ckpt in nowhere \(nowhere: there is no such folder"),
        (["runs=runs/failed"], "no finished run with a best.ckpt in runs/failed .*the run has failed"),
        (
            ["runs=runs", "checkpoint=runs/a/checkpoints/best.ckpt"],
            "with runs=FOLDER it must be one of: best, last, ema, swa",
        ),
        (["runs=runs", "jobs=2", "hydra/launcher=slurm"], "jobs=2 starts the processes itself"),
    ],
)
def test_what_cannot_be_is_refused(folder, words, message):
    with pytest.raises(UserError, match=message):
        expanded(words)


@pytest.mark.usefixtures("folder")
def test_jobs_choose_a_launcher_and_other_command_lines_stay():
    assert "hydra/launcher=processes" in expanded(["runs=runs/a", "jobs=3"])
    assert "hydra/launcher=processes" in expanded(["-m", "checkpoint=a,b", "jobs=2"])
    for words in (
        ["runs=runs", "--help"],
        ["runs=runs", "--cfg", "job"],
        ["runs=runs", "--cfg=job"],
        ["checkpoint=a.ckpt", "jobs=2"],
        ["runs=null"],
        ["-m", "seed=0,1", "jobs=1"],
    ):
        assert expanded(words) == words


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "typed",
    [
        "-m runs=runs evaluation=pgd20,autoattack jobs=2",
        "runs=runs jobs=2 evaluation=pgd20,autoattack --config-dir=mine",
        "--config-dir mine evaluation=pgd20,autoattack runs=runs jobs=2 --multirun",
    ],
)
def test_options_of_hydra_stand_anywhere(typed):
    arguments = get_args_parser().parse_args(as_hydra_reads(typed.split()))
    assert arguments.multirun
    assert arguments.config_dir == ("mine" if "mine" in typed else None)
    checkpoint = "checkpoint=runs/a/checkpoints/best.ckpt,'runs/deeper/b b,c/checkpoints/best.ckpt'"
    assert set(arguments.overrides) == {
        "hydra/launcher=processes", checkpoint, "evaluation=pgd20,autoattack", "jobs=2",
    }  # fmt: skip


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("jobs", ["0", "all"])
def test_a_number_of_jobs_that_cannot_be_is_refused_as_typed(jobs):
    with pytest.raises(SettingError, match=f"^jobs='?{jobs}'?: it must be a whole number of at least 1"):
        expanded(["runs=runs", f"jobs={jobs}"])


def test_one_evaluation_is_not_several():
    config = composed("evaluate", "data=digits", "paths.run=x", *SHORT)
    for name, value, message in (("jobs", 2, "jobs=2 is for several"), ("runs", "x", "type it on the command line")):
        config[name] = value
        with pytest.raises(UserError, match=message):
            check_evaluation(config)


def test_a_folder_that_an_evaluation_in_a_run_does_not_lie_in_has_no_effect(caplog, monkeypatch):
    config = composed("evaluate", "data=digits", "paths.run=outputs/mine/evaluations/fgsm-0123abcd", *SHORT)
    monkeypatch.setattr(settings, "typed_overrides", lambda: ["paths.output=x"])
    check_evaluation(config)
    assert not caplog.messages
    config.paths.output = "elsewhere"
    check_evaluation(config)
    assert caplog.messages[0].startswith("paths.output=elsewhere has no effect")


def copies(checkpoint, folder, count):
    """Finished runs whose weights differ."""
    for number in range(count):
        directory = training(folder, f"run{number}", seed=number)
        (directory / "checkpoints").mkdir()
        content = torch.load(checkpoint, weights_only=True)
        for value in content["state_dict"].values():
            if value.is_floating_point():
                value.mul_(1 + number / 10)
        torch.save(content, directory / "checkpoints" / "best.ckpt")
    return folder


def results(folder):
    """By name of the run, when the result was written, and the figures."""
    paths = sorted(folder.glob("*/evaluations/*/result.json"))
    contents = {path: json.loads(path.read_text()) for path in paths}
    return {
        path.parents[2].name: (path.stat().st_mtime_ns, content["metrics"])
        for path, content in contents.items()
        if content["status"] == "finished"
    }


def assert_same_figures(one, other):
    first, second = (Predictions.load(directory / "predictions.npz") for directory in (one, other))
    assert first.views.keys() == second.views.keys()
    for view, outcomes in first.views.items():
        for name, column in vars(outcomes).items():
            assert np.array_equal(column, getattr(second.views[view], name)), (view, name)


@pytest.mark.slow
def test_it_runs_what_single_commands_have_not_with_the_same_figures(hydra, checkpoint, capsys):
    folder = copies(checkpoint, Path("outputs"), 1)
    shutil.copytree(folder / "run0", folder / "run1")
    words = [word for word in expanded([f"runs={folder}", *SHORT, "skip_finished=true"]) if word != "-m"]
    single = compose("evaluate", [*SHORT, "checkpoint=outputs/run0/checkpoints/best.ckpt", "paths.run=x"])
    single.paths.run = str(Path("outputs", run_name(single)))
    evaluate(single)
    before, done = results(folder), []
    sweep(words, command="evaluate", task=lambda config: done.append(config.checkpoint) or evaluate(config))
    assert done == ["outputs/run1/checkpoints/best.ckpt"]
    assert "run1-best-fgsm, 4 test images of" in " ".join(capsys.readouterr().out.split())
    after = results(folder)
    assert after["run0"] == before["run0"]
    assert after["run1"][1] == before["run0"][1]
    assert_same_figures(*folder.glob("*/evaluations/*"))


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_command_of_six_runs_goes_on_in_the_third(checkpoint, tmp_path, jobs):
    folder = copies(checkpoint, tmp_path / "outputs", 6)
    words = ["runs=outputs", "evaluation=pgd20", "images=24", "pictures=false", f"jobs={jobs}"]
    process = start(*words, module="gat_lightning.evaluate", cwd=tmp_path)
    deadline = time.monotonic() + 300
    while len(results(folder)) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    time.sleep(3 * (jobs > 1))  # in which its processes end
    before = results(folder)
    assert 2 <= len(before) < 6
    again = command(*words, "skip_finished=true", module="gat_lightning.evaluate", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("Skipped, since it is finished") == len(before)
    after = results(folder)
    assert sorted(after) == [f"run{number}" for number in range(6)]
    assert {name: after[name] for name in before} == before
    for number in range(6):
        directory = tmp_path / f"single{number}"
        one = [f"checkpoint=outputs/run{number}/checkpoints/best.ckpt", f"hydra.run.dir={directory}"]
        alone = command(*one, *words[1:-1], module="gat_lightning.evaluate", cwd=tmp_path)
        assert alone.returncode == 0, alone.stderr
        (inside,) = (folder / f"run{number}" / "evaluations").iterdir()
        assert_same_figures(directory, inside)

"""A sweep to which much happens: each run is trained once to its end, as if nothing had happened."""

import pytest

from gat_lightning.runs.result import read_result
from support.eventful_sweep import eventful_sweep
from support.slurm_sweeps import assert_one_wandb_run, runs, sweep
from support.training_runs import assert_equal_runs
from support.wandb_file import paths_of

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def eventful(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("eventful") / "sweep"
    return folder, eventful_sweep(cluster, folder)


@pytest.fixture(scope="module")
def undisturbed(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    process = sweep(cluster, folder, "logger.lingering.seconds=0", experiment="eventful")
    assert process.wait(900) == 0, (folder / "log.txt").read_text()
    return folder


def states(table):
    return [" ".join(line.split()[1:3]) for line in table.splitlines()[1:]]


def test_each_is_trained_once_to_its_end(eventful):
    folder, _ = eventful
    assert sorted(runs(folder)) == list("abcdef")
    assert len(list(folder.glob("outputs/*/result.json"))) == 6
    assert {read_result(path).status for path in runs(folder).values()} == {"finished"}
    said = "".join(path.read_text() for path in folder.glob("outputs/.submitit/*/*_log.out"))
    assert said.count("epoch 3/3") == 6
    assert (folder / "log.txt").read_text().count("Skipped, since it is finished and skip_finished=true: ") == 5


@pytest.mark.parametrize("point", list("abcdef"))
def test_each_equals_an_undisturbed_run_and_is_one_wandb_run(eventful, undisturbed, point):
    directory = runs(eventful[0])[point]
    assert_equal_runs(runs(undisturbed)[point], directory)
    assert_one_wandb_run(directory)
    assert len(paths_of(directory)) == {"a": 3, "c": 2}.get(point, 1)
    assert (read_result(directory).resumed is not None) == (point in "ac")


def test_the_tables_say_how_far_each_is(eventful):
    _, tables = eventful
    assert all(state.startswith("queued (") for state in states(tables["before"]))
    assert "running, epoch" in states(tables["during"])
    assert "failed: The file system with the images is gone." in tables["left"]
    assert [state.split(",")[0] for state in states(tables["left"])].count("finished") == 5
    assert states(tables["after"]) == 6 * ["finished, clean"]

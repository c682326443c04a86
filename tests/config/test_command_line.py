"""Commands as a user types them, each in a process of its own; test_wrong_inputs.py has more in one process."""

import json

import pytest

from support.commands import command

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("setting", [[], ["data.download=false"]], ids=" ".join)
def test_without_data_and_network_one_message_says_what_to_do(tmp_path, free_port, setting):
    nowhere = f"http://127.0.0.1:{free_port}"
    done = command("task=macro+rotation", "weighting=mgda", *setting, cwd=tmp_path, https_proxy=nowhere)
    assert done.returncode == 1
    assert not done.stdout
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    for part in ("cifar-10", str(tmp_path / "data"), "data=digits"):
        assert part in line


def test_help_explains_the_groups(tmp_path):
    done = command("--help", cwd=tmp_path)
    assert done.returncode == 0
    for part in ("task", "weighting", "experiment=quickstart", "jigsaw", "mgda_floor", "preact_resnet50", "8/255"):
        assert part in done.stdout


def test_the_folder_of_a_report_and_of_runs_has_two_spellings(tmp_path):
    for spelling in ("output", "paths.output"):
        report = command(f"{spelling}=there", "--cfg", "job", module="gat_lightning.report", cwd=tmp_path)
        assert "output: there" in report.stdout.splitlines()
        train = command(f"{spelling}=there", "--cfg", "job", "--package", "paths", cwd=tmp_path)
        assert "output: there" in train.stdout.splitlines()


def test_the_demo_writes_where_it_is_told_and_refuses_with_a_message(tmp_path):
    done = command("metod=trades", "output=there", module="gat_lightning.demo", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "Error: There is no setting or group metod; did you mean method?\n")
    assert [path.name for path in tmp_path.iterdir()] in ([], ["there"])


def test_a_sweep_trains_every_point_in_its_own_directory(tmp_path):
    done = command(
        "-m",
        "experiment=quickstart",
        "task=none,macro+rotation",
        "trainer.max_epochs=1",
        "data.fraction=0.1",
        "attack.steps=1",
        "validation.attack.steps=1",
        "test.attack.steps=1",
        "hydra.sweeper.max_batch_size=1",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in (tmp_path / "outputs").glob("*/result.json")]
    assert [len(result["config"]["task"]) for result in results].count(0) == 1
    assert {result["status"] for result in results} == {"finished"}
    assert len(results) == 2

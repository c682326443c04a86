"""Evaluations in W&B: in the summary of the training's run, or in a run of their own."""

import subprocess
import sys

import pytest

from gat_lightning.commands.evaluate import loggers
from gat_lightning.config.evaluation import evaluation_label
from gat_lightning.errors import UserError
from gat_lightning.loggers.wandb import evaluations
from gat_lightning.runs.lock import FILE
from support.configurations import composed
from support.evaluations import OWN, evaluated
from support.training_runs import SHORT, trained
from support.wandb_file import WandbFile

ATTACKS = ("evaluation=fgsm", "evaluation=bim", "evaluation.bim.attack.steps=2")


@pytest.fixture(scope="module", autouse=True)
def offline():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_API_KEY", raising=False)
        patch.setenv("WANDB_MODE", "offline")
        yield


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A training with W&B, in a project of its own."""
    directory = tmp_path_factory.mktemp("runs") / "training"
    return directory, trained(directory, *SHORT, "logger=wandb", "logger.wandb.project=hips")


def evaluation(directory, checkpoint, *overrides):
    result = evaluated(directory, f"checkpoint={checkpoint}", "logger=wandb", "pictures=false", *overrides)
    return result, WandbFile(directory)


def test_evaluations_add_their_scores_to_the_run_of_the_training(training, tmp_path):
    directory, result = training
    before = WandbFile(directory)
    best = directory / "checkpoints" / "best.ckpt"
    first, _ = evaluation(tmp_path / "first", best, ATTACKS[0])
    second, file = evaluation(tmp_path / "second", best, *ATTACKS[1:])
    assert file.run.run_id == before.run.run_id
    assert file.run.project == before.run.project == "hips"
    assert (file.run.display_name, file.run.run_group, file.run.job_type, list(file.run.tags)) == ("", "", "", [])
    assert set(file.config) <= {"_wandb"}
    assert file.exit_code == 0
    figures = {name: value for name, value in before.summary.items() if name[0] != "_" and name.count(".") == 0}
    assert file.summary | figures == file.summary
    assert {"lr", "best/test/clean/accuracy", "val/pgd2/accuracy", "status", "epoch"} < figures.keys()
    labels = {name.split("/")[1] for name in file.summary if name.startswith("evaluate/")}
    assert {label.split("-")[0] for label in labels} == {"fgsm", "bim"}
    for label in labels:
        measured = first if label.startswith("fgsm") else second
        for name, value in measured["metrics"]["best"].items():
            assert file.summary[f"evaluate/{label}/best/{name}"] == value
            ends = [file.summary[f"evaluate/{label}/best/{name}/{end}"] for end in ("low", "high")]
            assert ends == measured["intervals"]["best"][name]
    assert result["metrics"]["best"]["test/clean/accuracy"] == file.summary["best/test/clean/accuracy"]


def test_a_training_that_is_at_work_is_left_alone(training, tmp_path, monkeypatch, caplog):
    directory, _ = training
    program = f"import fcntl, sys; file = open({str(directory / FILE)!r}, 'a+'); "
    program += "fcntl.lockf(file, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        monkeypatch.setattr(evaluations, "_SECONDS_TO_WAIT", 0.0)
        _, file = evaluation(tmp_path / "own", directory / "checkpoints" / "best.ckpt", "evaluation={}")
    finally:
        holder.communicate()
    assert file.run.run_id != WandbFile(directory).run.run_id
    assert (file.run.job_type, file.run.display_name) == ("evaluate", "own")
    assert "This evaluation gets a W&B run of its own. Another run is at work" in caplog.text


def test_a_foreign_model_has_a_run_of_its_own(tmp_path):
    result = evaluated(tmp_path / "own", *OWN, "logger=wandb", "logger.wandb.tags=[foreign]", "pictures=false")
    file = WandbFile(tmp_path / "own")
    assert (file.run.job_type, file.run.display_name, list(file.run.tags)) == ("evaluate", "own", ["foreign"])
    assert file.exit_code == 0
    (label,) = {name.split("/")[1] for name in file.summary if name.startswith("evaluate/")}
    for name, value in result["metrics"]["model"].items():
        assert file.summary[f"evaluate/{label}/model/{name}"] == value
    assert file.config["model"] == {"_target_": "support.evaluations.Net"}
    assert file.config["split"] == "test"
    assert str(tmp_path).encode() not in file.path.read_bytes()
    assert not (tmp_path / "own" / "wandb_rows.txt").exists()


@pytest.mark.slow
def test_labels_are_equal_for_equal_settings_of_other_checkpoints_and_differ_with_what_decides(training, tmp_path):
    checkpoint = training[0] / "checkpoints" / "best.ckpt"

    def label(*overrides, of=checkpoint):
        return evaluation_label(composed("evaluate", f"checkpoint={of}", "paths.run=.", *overrides))

    other = tmp_path / "other" / "checkpoints" / "last.ckpt"
    other.parent.mkdir(parents=True)
    other.write_bytes(checkpoint.read_bytes())
    same = [label(), label(of=other), label("batch_size=7", "audit=true", "logger=wandb", "device=cpu")]
    assert len(set(same)) == 1
    assert same[0].startswith("pgd20-")
    others = [label(each) for each in ("attack.eps=4/255", "images=5", "evaluation=pgd10", "++data.seed=3")]
    assert len({*others, same[0]}) == 5


def test_loggers_of_trainings_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(loggers, "instantiate", lambda _: type("Other", (), {"logs_evaluations": False})())
    config = composed("evaluate", *OWN, "logger=tensorboard", f"paths.run={tmp_path}")
    with pytest.raises(UserError, match="logger=tensorboard is for trainings: an evaluation has logger=wandb, or none"):
        loggers.build_loggers(config)


def test_wandb_is_not_imported_unless_it_is_asked_for(tmp_path, monkeypatch):
    for name in ("wandb", "gat_lightning.loggers.wandb"):
        monkeypatch.setitem(sys.modules, name, None)  # whose import is an error
    assert evaluated(tmp_path, *OWN, "pictures=false")["status"] == "finished"

"""Whole runs with W&B offline, and what their files hold, read back."""

import getpass
import re

import matplotlib.image
import numpy as np
import pytest
import torch
from hydra.core.hydra_config import HydraConfig

from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.errors import NonFiniteError, UserError
from gat_lightning.loggers import close, start
from gat_lightning.loggers.wandb import WandbLogger
from support.configurations import composed
from support.forked_logging import log_from_a_fork
from support.training_runs import TINY, rows, tiny, trained
from support.wandb_file import WandbFile

SECRET = "s3cr3t-0123456789"
OBJECTIVES = ["class/clean", "class/adv", "macro/clean", "macro/adv", "rotation/clean", "rotation/adv"]
OBJECTIVES += ["macro/curvature", "rotation/curvature"]


def isolate(patch, home):
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL"):
        patch.delenv(name, raising=False)
    patch.setenv("HOME", str(home))
    patch.setenv("LOGNAME", "adaquirk")
    patch.setenv("NETRC", str(home / "netrc"))
    patch.setenv("WANDB_MODE", "offline")
    patch.setenv("SERVICE_API_KEY", SECRET)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("homes") / "adaquirk"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, home)
        yield home


def hydra_run(directory, *overrides):
    """A run as ``gat_lightning.train`` starts it, with Hydra's record of choices and overrides."""
    overrides = ["experiment=quickstart", *TINY, "trainer.max_epochs=1", "logger=wandb", *overrides]
    full = composed("train", *overrides, f"paths.run={directory}", return_hydra_config=True)
    HydraConfig.instance().set_config(full)
    try:
        return trained(directory, *overrides)
    finally:
        HydraConfig.instance().cfg = None


@pytest.fixture(scope="module")
def first(home):
    directory = home / "runs" / "quickstart-first"
    directory.parent.mkdir()
    result = hydra_run(directory, "trainer.max_epochs=2", "callbacks.pictures.every_n_epochs=1")
    return directory, result, WandbFile(directory)


@pytest.fixture(scope="module")
def second(home, first):
    directory = home / "runs" / "quickstart-second"
    overrides = ["seed=1", "attack.eps=4/255", f"init={first[0]}/checkpoints/last.ckpt", f"+note={SECRET}"]
    return directory, hydra_run(directory, *overrides), WandbFile(directory)


def test_every_figure_of_the_csv_is_in_the_history(first):
    directory, _, file = first
    logged = rows(directory)
    assert [row for row in logged if not file.has(row)] == []
    assert len(logged) == 2 * (5 + 1 + 1 + 1) + 2


def test_every_row_has_its_epoch_and_its_step_as_x_axes(first):
    file = first[2]
    kinds = ("gramian.path", "examples.path", "front.path", "weight/target_adversarial", "peak_memory_gib", "lr")
    assert set(kinds) < file.columns
    assert [row for row in file.history if not {"epoch", "trainer/global_step"} <= row.keys()] == []
    epochs = {kind: [row["epoch"] for row in file.history if kind in row] for kind in kinds[:4]}
    assert epochs == {"gramian.path": [0, 1], "examples.path": [0, 1], "front.path": [2],
                      "weight/target_adversarial": [0, 1]}  # fmt: skip


def test_history_has_every_objective_weight_and_metric(first):
    file = first[2]
    for name in OBJECTIVES:
        for kind in ("objective", "weight", "norm"):
            assert f"{kind}/{name}" in file.columns
    for name in (
        "val/selection",
        "val/clean/accuracy",
        "val/pgd2/accuracy",
        "test/pgd2/accuracy",
        "stationarity",
        "lr",
    ):
        assert name in file.columns


def test_configuration_is_there(first, second):
    config, expected = first[2].config, first[1]["config"]
    for group in ("attack", "weighting", "optimizer", "task", "data", "curvature"):
        assert config[group] == expected[group]
    assert (config["seed"], second[2].config["seed"]) == (0, 1)
    assert second[2].config["init"] == "<hidden>"
    assert second[2].config["note"] == "<hidden>"
    assert "paths" not in config
    assert config["choices"]["task"] == "macro+rotation"
    assert config["choices"]["weighting"] == "mgda_floor"
    assert not {"environment", "logger"} & set(config)


def test_nothing_leaves_that_should_not(home, first, second):
    for directory, _, file in (first, second):
        assert str(home) not in file.run.config.SerializeToString().decode(errors="replace")
        sent = [file.path, *(path for path in file.files.rglob("*") if path.is_file())]
        content = b"".join(path.read_bytes() for path in sent)
        for secret in (str(home), str(home.parent), SECRET, getpass.getuser(), "adaquirk", "/root", "/work"):
            assert secret.encode() not in content, secret
        assert file.run.job_type == "train"
        for field in ("host", "git", "sweep_id", "notes", "entity"):
            assert not file.run.HasField(field) if field == "git" else not getattr(file.run, field), field
        names = {path.name for path in file.files.iterdir()}
        assert names == {"media"}, "metadata, requirements, code, console output or a diff"
        assert file.path.is_relative_to(directory)


def test_name_tags_and_group(first, second):
    runs = [first[2].run, second[2].run]
    assert [run.display_name for run in runs] == ["quickstart-first", "quickstart-second"]
    tags = set(runs[1].tags)
    assert {"experiment=quickstart", "task=macro+rotation", "weighting=mgda_floor", "data=digits"} <= tags
    assert {"seed=1", "attack.eps=4/255", "init=<hidden>", "+note=<hidden>"} <= tags
    assert {"callbacks=default", "trainer=default", "trainer.max_epochs=1"} <= tags
    assert not any(tag.startswith(("paths", "logger", "hydra")) for tag in tags)
    assert all(len(tag) <= 64 for tag in tags)
    assert runs[0].run_group
    assert runs[0].run_group != runs[1].run_group
    assert "seed" not in runs[1].run_group
    assert "attack.eps=4/255" in runs[1].run_group


def test_two_runs_of_one_process_stay_apart(first, second):
    ids = [file.run.run_id for _, _, file in (first, second)]
    assert ids[0] != ids[1]
    for (directory, result, file), run_id in zip((first, second), ids, strict=True):
        assert (directory / "wandb_id.txt").read_text().strip() == run_id
        assert file.exit_code == 0
        logged = [row["test/pgd2/accuracy"] for row in file.history if "test/pgd2/accuracy" in row]
        assert logged == [result["metrics"][name]["test/pgd2/accuracy"] for name in ("last", "best")]


def test_summary_has_the_best_robust_accuracy(first):
    _, result, file = first
    for checkpoint in ("best", "last"):
        for name, value in result["metrics"][checkpoint].items():
            assert file.summary[f"{checkpoint}/{name}"] == value
    assert file.summary["status"] == "finished"
    best = max(row["val/pgd2/accuracy"] for row in file.history if "val/pgd2/accuracy" in row)
    assert file.summary["val/pgd2/accuracy"] == {"max": best}
    assert file.summary["val/selection"] == {"max": best}


def test_pictures_are_there(first):
    file = first[2]
    pictures = [(key, row[key]) for row in file.history for key in row if key.endswith(".path")]
    names = 2 * ["adversarial", "examples", "gramian"] + ["front", "weights"]
    assert sorted(key for key, _ in pictures) == sorted(f"{name}.path" for name in names)
    assert {path for _, path in pictures} == set(file.media)
    for key, path in pictures:
        if key == "examples.path":
            continue
        image = matplotlib.image.imread(file.files / path)
        assert min(image.shape[:2]) > 300
        assert np.std(image) > 0.05


def test_examples_are_a_table_of_images(first):
    file = first[2]
    paths = [row["examples.path"] for row in file.history if "examples.path" in row]
    assert len(paths) == 2
    for path in paths:
        rows = (file.files / path).read_text().split("<tr>")[1:]
        assert len(rows) == 1 + 8
        assert all(row.count('<img src="data:image/png;base64,') == 2 for row in rows[1:])
        assert all(0 <= float(share) <= 1 for row in rows[1:] for share in re.findall(r"<td>(\d\.\d{3})</td>", row))


@pytest.mark.slow
def test_training_is_the_same_bit_by_bit_without_wandb_and_pictures(first, tmp_path):
    trained(tmp_path, "trainer.max_epochs=2")
    states = [load_checkpoint(path / "checkpoints" / "last.ckpt")["state_dict"] for path in (first[0], tmp_path)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_failed_run_is_closed_as_failed(home, tmp_path):
    with pytest.raises(NonFiniteError):
        trained(tmp_path, "logger=wandb", "optimizer.lr=1e30", "weighting=equal", "curvature.mode=off", "task=none")
    file = WandbFile(tmp_path)
    assert file.exit_code == 1
    assert file.summary["status"] == "failed"


@pytest.fixture
def logger(home, tmp_path):
    logger = WandbLogger(tmp_path / "run", "test")
    yield logger
    logger.end("failed", {})


def test_a_resumed_run_goes_on_as_the_same_and_a_new_one_does_not(logger, capsys):
    ids = []
    for resumed_at in (None, 7, None):
        logger.begin({}, resumed_at)
        ids.append(logger.experiment.id)
        logger.log_metrics({"x": 1.0}, 8)
        logger.end("interrupted", {})
    assert ids[0] == ids[1] != ids[2]
    assert len(list(logger.directory.glob(f"wandb/offline-run-*-{ids[0]}*"))) == 2
    hints = capsys.readouterr().out.splitlines()
    assert len(hints) == 3
    assert all(f"wandb sync {logger.directory}/wandb/offline-run-*" in hint for hint in hints)


def test_switched_off(logger, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    logger.begin({"a": 1}, None)
    logger.log_metrics({"val/selection": 1.0}, 1)
    logger.log_picture("x", np.zeros((4, 4, 3), np.uint8), 1, 0)
    logger.end("finished", {"best": {"test/clean/accuracy": 1.0}})
    assert not (logger.directory / "wandb").exists()


@pytest.mark.slow
def test_a_forked_process_logs_to_the_same_run(home, tmp_path):
    log_from_a_fork("wandb.WandbLogger(sys.argv[1], 'test')", tmp_path)
    file = WandbFile(tmp_path)
    assert [row["x"] for row in file.history if "x" in row] == list(range(21))
    assert file.exit_code == 0


def test_interrupted_is_told_from_failed(logger):
    logger.begin({}, None)
    logger.end("interrupted", {})
    assert WandbFile(logger.directory).exit_code == 255


def test_a_logger_that_cannot_start_says_what_to_do_and_closes(home, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "too-short")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    logger = WandbLogger(tmp_path, "test")
    with pytest.raises(UserError, match=r"W&B cannot start: .*WANDB_MODE=offline"):
        start([logger], tiny(tmp_path), None)
    close([logger], "failed")

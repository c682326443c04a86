"""Whole runs on the bundled digits: small, but by the real code path."""

import json
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from gat_lightning.commands.demo import run as demo
from gat_lightning.config.build import build_data
from gat_lightning.config.checkpoint import load_checkpoint, load_classifier
from gat_lightning.config.command_line import quiet_lightning
from gat_lightning.errors import NonFiniteError, UserError
from gat_lightning.reporting.groups import group
from gat_lightning.reporting.records import collect
from support.training_runs import SHORT, TINY, rows, tiny, trained


def test_result_is_complete(quickstart):
    directory, returned = quickstart
    result = json.loads((directory / "result.json").read_text())
    assert result["metrics"] == returned["metrics"]
    assert result["schema"] == 1
    assert result["status"] == "finished"
    assert result["config"]["weighting"]["floor"]
    assert result["seed"] == 0
    assert result["durations"]["total"] >= result["durations"]["train"] > 0
    assert result["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert result["device"]["type"] == "cpu"
    assert result["images"] == 360
    for checkpoint in ("best", "last"):
        scores = result["metrics"][checkpoint]
        auxiliary = {f"test/clean/{task}/accuracy" for task in ("macro", "rotation")}
        assert set(scores) == {"epoch", "test/clean/accuracy", "test/pgd2/accuracy", *auxiliary}
        assert 0 <= scores["test/pgd2/accuracy"] <= scores["test/clean/accuracy"] <= 1
    for name in (result["files"]["metrics"], *result["files"]["checkpoints"].values(), *result["files"]["images"]):
        assert (directory / name).is_file()


class Own(nn.Module):
    """Somebody's encoder, without a normalisation that would bring images to the type of its weights."""

    def __init__(self, num_classes, image, mean, std, width):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Linear(width, num_classes)

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).relu().mean((2, 3)))


def test_an_own_classifier_trains_in_double_precision(tmp_path):
    words = ["trainer.precision=64-true", f"encoder._target_={__name__}.Own", "callbacks=default+ema", *SHORT]
    result = trained(tmp_path, *words)
    assert result["status"] == "finished"
    assert (tmp_path / "images" / "adversarial.png").is_file()
    for name in ("best", "ema"):
        state = load_checkpoint(tmp_path / "checkpoints" / f"{name}.ckpt")["state_dict"]
        assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float64}


def test_metrics_csv_has_every_objective(quickstart):
    steps = [row for row in rows(quickstart[0]) if row["weight/class/adv"]]
    names = ["class/clean", "class/adv", "macro/clean", "macro/adv", "rotation/clean", "rotation/adv"]
    names += ["macro/curvature", "rotation/curvature"]
    assert len(steps) == 2 * 5
    for row in steps:
        for name in names:
            assert float(row[f"objective/{name}"]) >= 0
            assert float(row[f"norm/{name}"]) >= 0
        for column in ("stationarity", "lr", "images_per_second", "empty_objectives"):
            assert float(row[column]) >= 0
        assert -1 <= float(row["cosine/class/adv|class/clean"]) <= 1
    validations = [row for row in rows(quickstart[0]) if row["val/clean/accuracy"]]
    assert len(validations) == 2
    assert all(row["val/selection"] == row["val/pgd2/accuracy"] for row in validations)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_rows_of_a_method_that_replays_its_batches_are_as_far_apart_as_of_others(tmp_path):
    """Three steps on a batch: the first batch after each fourth step has a row."""
    trained(tmp_path, *SHORT, "method=free", "method.replays=3", "trainer.log_every_n_steps=4", "data.batch_size=16")
    steps = [int(row["step"]) for row in rows(tmp_path) if row["weight/class/adv"]]
    assert steps[:4] == [6, 9, 12, 18]


@pytest.mark.usefixtures("undrawn")
def test_weights_of_mgda_sum_to_one(tmp_path):
    trained(tmp_path, *SHORT, "weighting=mgda", "data.fraction=0.2")
    steps = [row for row in rows(tmp_path) if row["weight/class/adv"]]
    assert len(steps) == 5
    for row in steps:
        weights = [
            float(row[name]) for name in row if name.startswith("weight/") and name.count("/") == 2 and row[name]
        ]
        assert len(weights) == 8
        assert sum(weights) == pytest.approx(1, abs=1e-9)
        assert min(weights) >= 0


def test_checkpoint_gives_back_the_classifier_that_was_scored(quickstart):
    directory, result = quickstart
    model = load_classifier(directory / "checkpoints" / "best.ckpt")
    assert "fc.weight" in model.state_dict()
    assert not any("macro" in name or "rotation" in name for name in model.state_dict())
    data = build_data(tiny(directory))
    data.setup("test")
    right = total = 0
    with torch.no_grad():
        for batch in data.test_dataloader():
            right += int((model(batch.images).argmax(1) == batch.labels["class"]).sum())
            total += len(batch.images)
    assert total == 360
    assert right / total == pytest.approx(result["metrics"]["best"]["test/clean/accuracy"])


@pytest.mark.usefixtures("undrawn")
def test_two_runs_with_one_seed_are_equal_bit_by_bit_and_another_seed_is_not(tmp_path):
    states = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        trained(tmp_path / name, *SHORT, f"seed={seed}")
        states[name] = load_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt")["state_dict"]
    assert all(torch.equal(states["a"][key], states["b"][key]) for key in states["a"])
    assert not all(torch.equal(states["a"][key], states["c"][key]) for key in states["a"])


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "overrides",
    [
        ["method=standard", "task=none", "weighting=mgda"],
        ["method=standard", "task=macro+rotation", "weighting=mgda"],
        [
            "method=adversarial",
            "task=jigsaw",
            "data.views=shared",
            "weighting=mgda",
            "weighting.floor={class/adv: 0.3}",
        ],
        ["method=madry", "task=macro", "weighting=equal", "curvature.mode=penalty"],
        ["task=none", "weighting=mgda"],
        ["attack.tasks=all", "attack=mim", "weighting=mgda", "weighting.normalize=l2"],
        ["attack.tasks=auxiliary", "attack.norm=L2", "attack.eps=0.5", "curvature.mode=off"],
        ["attack=bim", "attack.mode=train", "callbacks=default+early_stopping", "augment=standard"],
        ["encoder=preact_resnet18", "encoder.width=4", "schedule=cosine", "validation.images=20"],
    ],
    ids=" ".join,
)
def test_combinations_run(tmp_path, overrides):
    result = trained(tmp_path, *SHORT, *overrides)
    assert result["status"] == "finished"
    assert all(np.isfinite(value) for scores in result["metrics"].values() for value in scores.values())


@pytest.mark.usefixtures("undrawn")
def test_the_average_is_tested_beside_the_plain_model(tmp_path):
    result = trained(tmp_path, *SHORT, "callbacks=default+ema")
    assert result["images"] == result["config"]["data"]["batch_size"]
    assert list(result["metrics"]) == ["best", "last", "ema"]
    assert set(result["metrics"]["ema"]) == set(result["metrics"]["best"])


@pytest.mark.usefixtures("undrawn")
def test_own_arrays(tmp_path):
    digits = load_digits()
    images, labels = (digits.images * 15).astype(np.uint8), digits.target.astype(np.uint8)
    colour = np.repeat(np.kron(images, np.ones((2, 2), np.uint8))[..., None], 3, axis=3)
    np.savez(
        tmp_path / "own.npz",
        train_images=colour[:300],
        train_labels=labels[:300],
        test_images=colour[300:350],
        test_labels=labels[300:350],
    )
    result = trained(
        tmp_path / "run", *SHORT, "data=arrays", f"data.path={tmp_path / 'own.npz'}", "task=rotation",
        "data.fraction=1.0",
    )  # fmt: skip
    assert result["status"] == "finished"
    assert result["config"]["data"]["path"].endswith("own.npz")


def test_a_diverging_run_stops_with_a_message_and_a_result(tmp_path):
    with pytest.raises(
        NonFiniteError, match=r"stopped at step \d+ .*'.*' is not finite.*learning rate.*Last good checkpoint"
    ):
        trained(tmp_path, "optimizer.lr=1e30", "weighting=equal", "curvature.mode=off", "task=none")
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["status"] == "failed"


@pytest.mark.usefixtures("undrawn")
def test_a_lopsided_weighting_is_warned_of_and_again_at_the_end(tmp_path, caplog, capsys):
    words = ["weighting=mgda", "weighting.floor={class/clean: 0.95}", "trainer.max_epochs=2"]
    result = trained(tmp_path, *SHORT, *words)
    warned = [record.message for record in caplog.records if "mgda_floor" in record.message]
    assert len(warned) == 1
    assert warned[0].startswith("Epoch 1: ")
    assert warned[0] in result["warnings"]
    again = capsys.readouterr().out.partition("Warnings of this run")[2]
    assert warned[0] in " ".join(again.split())


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 truncated"])
def test_unreadable_checkpoints_are_refused(tmp_path, content):
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        load_checkpoint(path)


def test_foreign_missing_and_malicious_checkpoints_are_refused(tmp_path):
    with pytest.raises(UserError, match="There is no checkpoint"):
        load_checkpoint(tmp_path / "none.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="not a checkpoint that gat_lightning wrote"):
        load_checkpoint(tmp_path / "foreign.ckpt")

    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"gat_lightning": Payload()}, tmp_path / "bad.ckpt")
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / "bad.ckpt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_demo_trains_three_models_and_draws_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["demo"])
    with warnings.catch_warnings():
        quiet_lightning()
        demo([*TINY, *SHORT], output=tmp_path)
    printed = capsys.readouterr().out
    for name in ("undefended", "adversarial training", "GAT"):
        assert name in printed
    assert (tmp_path / "demo.png").stat().st_size > 10_000
    settings = {(each.options["task"], each.options["method"]) for each in group(collect([tmp_path])[0])}
    assert settings == {("none", "standard"), ("none", "madry_separate"), ("macro+rotation", "madry_separate")}


@pytest.mark.usefixtures("undrawn")
def test_a_run_without_its_last_checkpoint_is_scored_by_the_best(tmp_path, capsys):
    result = trained(tmp_path, *SHORT, "~callbacks.last")
    assert list(result["metrics"]) == ["best"]
    assert "best - last" not in capsys.readouterr().out

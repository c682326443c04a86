"""The average of real, tiny runs on the bundled digits."""

import csv

import pytest
import torch
from hydra.errors import InstantiationException
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from gat_lightning.config.build import build_trainer
from gat_lightning.config.checkpoint import load_checkpoint, load_classifier
from gat_lightning.config.messages import explain
from gat_lightning.data.sampler import JointBatchSampler
from gat_lightning.errors import UserError
from gat_lightning.training.averaging import ExponentialAverage
from gat_lightning.training.callbacks import WeightAveraging
from support.averaged_training import assert_equal, composed, fit
from support.trainers import quiet_trainer

EMA = "callbacks=default+ema"
MEASURED = ("images_per_second", "peak_memory_gib")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("run"), EMA)


def rows(run):
    with (run.directory / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def last_scores(run):
    scores = [{name: value for name, value in row.items() if "val/" in name and value} for row in rows(run)]
    return [row for row in scores if row][-1]


def test_the_average_of_a_run_by_hand(run):
    first, *rest = run.recorder.weights
    expected = {name: value.double() for name, value in first.items()}
    for step, weights in enumerate(rest):
        decay = (1 + step) / (10 + step)
        expected = {name: decay * old + (1 - decay) * weights[name] for name, old in expected.items()}
    assert len(rest) == run.trainer.global_step == run.averaging.average.steps == 8
    saved = load_checkpoint(run.ema)["state_dict"]
    for name, value in expected.items():
        assert torch.allclose(saved[f"model.{name}"].double(), value, rtol=1e-5, atol=1e-7), name


def test_statistics_are_those_of_the_training_images(run):
    model = run.averaging.average.model
    dataset = run.data.split("train")
    requests = JointBatchSampler(len(dataset), run.data.batch_size, run.data.seed)
    images = [run.data.augmented(dataset.__getitems__(request), epoch=1).images for request in requests]
    assert len({len(batch) for batch in images}) == 2
    seen = {}
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, _BatchNorm)}
    assert layers
    hooks = [
        layer.register_forward_pre_hook(lambda _, args, name=name: seen.setdefault(name, []).append(args[0].double()))
        for name, layer in layers.items()
    ]
    statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    with torch.no_grad():
        for batch in images:
            model(batch)
    model.eval()
    model.load_state_dict(statistics, strict=False)
    for hook in hooks:
        hook.remove()
    for name, layer in layers.items():
        channels = torch.cat(seen[name]).transpose(0, 1).flatten(1)
        variance = sum(len(x) * x.transpose(0, 1).flatten(1).var(1) for x in seen[name]) / len(dataset)
        assert torch.allclose(layer.running_mean.double(), channels.mean(1), rtol=1e-4, atol=1e-5), name
        assert torch.allclose(layer.running_var.double(), variance, rtol=1e-4), name
    plain = run.module.model.state_dict()
    assert not any(torch.equal(plain[f"{name}.running_mean"], statistics[f"{name}.running_mean"]) for name in layers)


def test_no_pass_of_training_scores_or_statistics_is_larger_than_a_micro_batch(tmp_path, monkeypatch):
    sizes, forward = [], torch.nn.Conv2d.forward

    def counted(layer, images):
        sizes.append(len(images))
        return forward(layer, images)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", counted)
    fit(tmp_path, EMA, "engine.micro_batch=20", "trainer.max_epochs=1")
    assert max(sizes) <= 20


def test_a_run_is_the_same_without_the_average(run, tmp_path):
    plain = fit(tmp_path / "plain")
    assert plain.averaging is None
    assert not plain.ema.exists()
    assert all(map(torch.equal, run.recorder.generators, plain.recorder.generators))
    with_average, without = load_checkpoint(run.last), load_checkpoint(plain.last)
    assert_equal(with_average["state_dict"], without["state_dict"])
    for one, other in zip(with_average["optimizer_states"], without["optimizer_states"], strict=True):
        for index, state in one["state"].items():
            assert_equal(state, other["state"][index])
    for one, other in zip(rows(run), rows(plain), strict=True):
        same = {name: value for name, value in one.items() if name not in MEASURED and "ema/" not in name}
        assert same == {name: value for name, value in other.items() if name not in MEASURED}
    modes = [module.training for module in run.module.modules()]
    assert modes == [module.training for module in plain.module.modules()]


@pytest.mark.parametrize("step", [4, 6])
def test_a_resumed_run_equals_one_without_interruption(run, tmp_path, step):
    """Resumed at the end of the first epoch, and within the second."""
    checkpoint = run.directory / "steps" / f"{step}.ckpt"
    assert load_checkpoint(checkpoint)["callbacks"]["WeightAveraging{'name': 'ema'}"]["steps"] == step
    resumed = fit(tmp_path / "resumed", EMA, resume=checkpoint)
    for name in ("last", "ema"):
        one, other = load_checkpoint(getattr(run, name)), load_checkpoint(getattr(resumed, name))
        assert (one["epoch"], one["global_step"]) == (other["epoch"], other["global_step"]) == (1, 8)
        assert_equal(one["state_dict"], other["state_dict"])
    assert last_scores(resumed) == last_scores(run)
    assert len(last_scores(run)) == 9


@pytest.mark.slow
def test_the_average_does_not_depend_on_validation_or_loading_processes(run, tmp_path):
    seldom = fit(tmp_path / "seldom", EMA, "validation.every=3", "data.workers=1")
    assert not any("val/" in name for name in rows(seldom)[0])
    assert_equal(load_checkpoint(run.ema)["state_dict"], load_checkpoint(seldom.ema)["state_dict"])


def test_a_checkpoint_without_an_average_starts_one(run, tmp_path):
    plain = load_checkpoint(run.directory / "steps" / "6.ckpt")
    del plain["callbacks"]["WeightAveraging{'name': 'ema'}"]
    torch.save(plain, tmp_path / "plain.ckpt")
    resumed = fit(tmp_path / "resumed", EMA, resume=tmp_path / "plain.ckpt")
    assert resumed.averaging.average.steps == 2


def test_state_goes_round(run):
    state = run.averaging.state_dict()
    fresh = WeightAveraging(ExponentialAverage(), run.directory)
    assert fresh.state_dict() == {}
    fresh.load_state_dict(state)
    assert fresh.state_dict() is state
    fresh.on_train_start(run.trainer, run.module)
    assert fresh.state_dict()["steps"] == 8
    assert_equal(fresh.state_dict()["parameters"], state["parameters"])
    assert fresh.average is not run.averaging.average
    assert fresh.state_key == run.averaging.state_key


def test_the_checkpoint_gives_the_classifier_that_was_scored(run):
    model = load_classifier(run.ema)
    assert not model.training
    right = total = 0
    with torch.no_grad():
        for batch in run.data.val_dataloader():
            right += int((model(batch.images).argmax(1) == batch.labels["class"]).sum())
            total += len(batch.images)
    assert right / total == pytest.approx(float(last_scores(run)["ema/val/clean/accuracy"]))
    assert total == len(run.data.split("val"))


def test_the_checkpoint_loads_into_the_module(run):
    checkpoint = load_checkpoint(run.ema)
    assert checkpoint["state_dict"].keys() == load_checkpoint(run.last)["state_dict"].keys()
    assert checkpoint["gat_lightning"] == run.module.origin
    before = {name: value.clone() for name, value in run.module.state_dict().items()}
    scores = run.trainer.test(run.module, datamodule=run.data, ckpt_path=run.ema, weights_only=True, verbose=False)[0]
    assert_equal(run.module.state_dict(), checkpoint["state_dict"])
    run.module.load_state_dict(before)
    assert {"test/clean/accuracy", "test/pgd2/accuracy"} < set(scores)


@pytest.mark.parametrize(("setting", "message"), [("decay=1.0", "below 1"), ("warmup=soon", "true or false")])
def test_bad_settings_are_refused(tmp_path, setting, message):
    with pytest.raises(InstantiationException) as caught:
        build_trainer(composed(tmp_path, EMA, f"callbacks.ema.rule.{setting}"))
    said = explain(caught.value)
    assert said.startswith(f"callbacks.ema.rule.{setting.partition('=')[0]}=")
    assert message in said


def test_training_without_our_data_is_refused(run, tmp_path):
    trainer = quiet_trainer(max_epochs=1, callbacks=[WeightAveraging(ExponentialAverage(), tmp_path)])
    with pytest.raises(UserError, match="'ema' needs training images for its BatchNorm statistics"):
        trainer.fit(run.module, train_dataloaders=DataLoader([0]))

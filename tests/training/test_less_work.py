"""Steps that solve nothing, have no curvature terms, or follow the losses, of the module and its trainer."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from gat_lightning.curvature.terms import Curvature
from gat_lightning.errors import SettingError
from gat_lightning.methods import Adversarial, Free, Madry
from gat_lightning.methods.weight_perturbation import WeightPerturbation
from gat_lightning.weighting import FAMO, MGDA, Equal, TorchJD, UPGrad
from support.given_weights import Given
from support.methods import METHODS
from support.trainers import quiet_trainer
from support.training_steps import EPS, fit_one_step, toy_batch, toy_module

DIFFERENCE = {"derivative": "finite_difference", "step": 1e-3}


def batches(count, size=7):
    return DataLoader([toy_batch(size + step) for step in range(count)], batch_size=None)


def fit(module, steps, size=7, **settings):
    """The steps that the module made, and its parameters."""
    found = []
    finish = module.engine.finish

    def recorded():
        found.append(finish())
        return found[-1]

    module.engine.finish = recorded
    quiet_trainer(max_steps=steps, **settings).fit(module, batches(steps + 1, size))
    return found, torch.cat([parameter.detach().flatten() for parameter in module.model.parameters()])


class Script(Given):
    """The weights of one step after another."""

    def __call__(self, gramian, losses=None, names=None):
        first, *self.weights = self.weights
        return first


def check_step_between(method, curvature, weighting, separate=False, **settings):
    """The second step, between two solves, moves the parameters as a solve with its weights would."""
    module = toy_module(method(), curvature(), None, separate, weighting(), **settings, solve_every=2)
    steps, parameters = fit(module, 2)
    assert [step.solved for step in steps] == [True, False]
    script = Script([], weighting().adaptive)
    script.weights = [step.weights for step in steps]
    again, expected = fit(toy_module(method(), curvature(), None, separate, script, **settings), 2)
    assert [step.names for step in again] == [step.names for step in steps]
    assert all(step.solved for step in again)
    assert (parameters - expected).abs().max() < 1e-12
    total = math.fsum(steps[1].weights.tolist())
    assert total == pytest.approx(math.fsum(steps[0].weights.tolist()))


@pytest.mark.parametrize("name", METHODS)
def test_a_step_between_solves_equals_a_solve_with_its_weights(name):
    curvature = partial(Curvature, "off" if name == "free" else "objective")
    check_step_between(METHODS[name], curvature, MGDA, net=None)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(
    ("curvature", "weighting", "settings"),
    [
        (partial(Curvature, "objective"), UPGrad, {"micro_batch": 3}),
        (partial(Curvature, "objective", **DIFFERENCE), MGDA, {}),
        (partial(Curvature, "penalty"), MGDA, {"micro_batch": 3}),
        (partial(Curvature, "penalty", **DIFFERENCE), Equal, {}),
        (partial(Curvature, "off"), partial(MGDA, rescale=False), {"space": "representation", "micro_batch": 3}),
        (partial(Curvature, "penalty"), Equal, {"space": "representation"}),
    ],
)
def test_so_it_does_with_every_curvature_space_and_view(curvature, weighting, settings, separate):
    check_step_between(partial(Madry, "separate"), curvature, weighting, separate, **settings)


def with_batchnorm():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Softplus(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(12, 4)
    ).double()


@pytest.mark.parametrize("mode", ["objective", "penalty"])
def test_curvature_comes_every_so_many_steps(mode):
    module = toy_module(Madry(), Curvature(mode, coefficient=0.7, every=4), None, True, MGDA(), solve_every=2)
    steps, _ = fit(module, 9)
    curved = [any("curvature" in name for name in step.names) or step.penalty > 0 for step in steps]
    assert curved == [True, False, False, False] * 2 + [True]
    assert [step.solved for step in steps] == [True, False] * 4 + [True]
    if mode == "objective":
        first, second = steps[0], steps[1]
        present = first.weights[: len(second.names)]
        assert second.weights.tolist() == pytest.approx((present / present.sum()).tolist(), abs=1e-12)
    else:
        alone, _ = fit(toy_module(Madry(), Curvature(mode, coefficient=0.7), None, True, MGDA()), 1)
        assert steps[0].penalty == pytest.approx(4 * alone[0].penalty, rel=1e-12)


@pytest.mark.parametrize("method", [Madry, Adversarial])
def test_a_step_without_its_terms_is_one_of_a_training_without_them(method):
    """No eager pass in full precision, and no clean pass at all where the method has none."""
    modules = [
        toy_module(method(), curvature, None, False, Equal(), net=with_batchnorm())
        for curvature in (Curvature("off"), Curvature(every=2))
    ]
    lazily = modules[1]
    lazily.engine.load_state({"steps": 1})
    found = [fit(module, 1) for module in modules]
    assert found[0][0][0].names == found[1][0][0].names
    assert torch.equal(found[0][1], found[1][1])
    for first, second in zip(*(module.model.buffers() for module in modules), strict=True):
        assert torch.equal(first, second)


def test_every_must_be_a_multiple_of_solve_every():
    with pytest.raises(SettingError, match=r"every=3: it must be 1 or a multiple of engine\.solve_every=2"):
        toy_module(Madry(), Curvature(every=3), None, False, MGDA(), solve_every=2)
    toy_module(Madry(), Curvature("off", every=3), None, False, MGDA(), solve_every=2)
    for wrong in (0, 2.0, True):
        with pytest.raises(SettingError, match="every"):
            Curvature(every=wrong)
        with pytest.raises(SettingError, match="solve_every"):
            toy_module(Madry(), "off", None, False, MGDA(), solve_every=wrong)


def resumed(make, cut, total, path):
    """The parameters after a training of ``total`` steps, and after one that was cut and resumed."""

    def trained(epochs, **settings):
        module, trainer = make(), quiet_trainer(max_epochs=epochs)
        trainer.fit(module, DataLoader([toy_batch()], batch_size=None), **settings)
        return trainer, torch.cat([parameter.detach().flatten() for parameter in module.model.parameters()])

    trained(cut)[0].save_checkpoint(path)
    return trained(total)[1], trained(total, ckpt_path=path, weights_only=True)[1]


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("weighting", "settings"),
    [
        (partial(MGDA, normalize="l2"), {"solve_every": 3}),
        (FAMO, {}),
        (partial(TorchJD, "CRMOGM", {"weighting": "GradVac"}), {}),
    ],
)
def test_a_resume_in_the_middle_of_a_cycle_goes_on_as_if_nothing_had_happened(weighting, settings, cut, tmp_path):
    every = settings.get("solve_every", 2)
    make = partial(_module, weighting, settings, every)
    whole, second = resumed(make, cut, 6, tmp_path / "cut.ckpt")
    assert torch.equal(whole, second)


def _module(weighting, settings, every):
    curvature = Curvature(every=every)
    return toy_module(Madry("separate"), curvature, None, True, weighting(), net=with_batchnorm(), **settings)


def test_a_batch_that_is_left_out_is_no_step_of_the_cycle():
    module = toy_module(Madry(), "off", None, False, MGDA(), solve_every=2, skip_non_finite=True)
    calls, objectives = [], module.method.objectives

    def failing(*passes):
        calls.append(passes)
        found = objectives(*passes)
        return [replace(each, loss=each.loss * math.nan) for each in found] if len(calls) == 2 else found

    module.method.objectives = failing
    steps, _ = fit(module, 3)
    assert [step.solved for step in steps] == [True, False, True]
    assert len(calls) == 4
    assert (module.skipped, module.engine.steps, module.global_step) == (1, 3, 3)


class Watched(FAMO):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def observe(self, losses, names):
        self.seen.append(dict(zip(names, losses.tolist(), strict=True)))
        super().observe(losses, names)


@pytest.mark.parametrize("micro_batch", [None, 3])
@pytest.mark.parametrize(
    ("mode", "derivative"), [("objective", "exact"), ("objective", "finite_difference"), ("off", "exact")]
)
def test_famo_is_told_the_losses_of_the_same_images_at_the_new_parameters(mode, derivative, micro_batch):
    rule = Watched()
    module = toy_module(Madry("separate"), Curvature(mode, derivative), None, True, rule, micro_batch=micro_batch)
    perturbed = []
    perturb = module.method.perturb
    module.method.perturb = lambda *given: perturbed.append(perturb(*given)) or perturbed[-1]
    steps, _ = fit(module, 1)
    (told,) = rule.seen
    assert list(told) == steps[0].names
    images = iter(perturbed)
    module.method.perturb = lambda *given: next(images)
    fit_one_step(module)
    assert list(told.values()) == pytest.approx(module.last_step.losses.tolist(), rel=1e-9)
    assert list(told.values()) != pytest.approx(steps[0].losses.tolist(), rel=1e-3)


def test_the_second_pass_leaves_no_trace(monkeypatch):
    """Buffers move as often as without it, dropout draws as without it, and a replayed perturbation stays."""
    found = []
    for observes in (True, False):
        rule = FAMO()
        module = toy_module(Madry(), "off", None, False, rule, net=with_batchnorm())
        if not observes:
            monkeypatch.setattr("gat_lightning.training.module.observe", lambda *given: None)
        fit(module, 1)
        (norm,) = (part for part in module.model.modules() if isinstance(part, nn.BatchNorm2d))
        assert norm.num_batches_tracked == 2
        found.append((torch.cat([norm.running_mean, norm.running_var]), torch.get_rng_state()))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    monkeypatch.undo()
    perturbations = []
    for observes in (True, False):
        module = toy_module(Free(EPS, replays=1), "off", None, False, FAMO())
        if not observes:
            monkeypatch.setattr("gat_lightning.training.module.observe", lambda *given: None)
        fit(module, 1)
        perturbations.append(module.method.state()["perturbation"])
    assert torch.equal(*perturbations)


def test_the_second_pass_draws_as_the_first():
    rule = Watched()
    module = toy_module(Madry(), "off", None, False, rule, net=with_batchnorm())
    module.optimization = type(module.optimization)(partial(torch.optim.SGD, lr=0.0), module.optimization.schedule)
    steps, _ = fit(module, 1)
    assert list(rule.seen[0].values()) == pytest.approx(steps[0].losses.tolist(), rel=1e-12)


def test_famo_with_adversarial_weights_is_refused():
    with pytest.raises(ValueError, match=r"FAMO compares the losses.*awp\.gamma"):
        toy_module(Madry(), "off", None, False, FAMO(), weight_perturbation=WeightPerturbation(0.01))

"""One whole step of GATModule against Algorithm 2 of the paper, written here with plain autograd and scipy."""

import ast
import inspect
import textwrap

import numpy as np
import pytest
import torch

from gat_lightning.methods import Adversarial, Madry
from gat_lightning.training.module import GATModule
from support.training_steps import LR, NAMES, Reference, fit_one_step, toy_module

METHODS = [Madry("combined"), Madry("separate"), Adversarial()]
FLOORS = {"combined": {"class/clean+adv": 0.5}, "separate": {"class/adv": 0.5}, "adversarial": {"class/adv": 0.4}}


def kind(method):
    return "adversarial" if isinstance(method, Adversarial) else "combined" if method.combined else "separate"


@pytest.mark.parametrize("floor", [False, True])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("curvature", ["objective", "penalty", "off"])
@pytest.mark.parametrize("method", METHODS, ids=kind)
def test_step_equals_the_independent_computation(method, curvature, separate, floor):
    floors = FLOORS[kind(method)] if floor else None
    module = toy_module(method, curvature, floors, separate)
    reference = Reference(module, separate)
    names, weights, combined, heads = reference.gradients(method, curvature, floors)
    before = {name: parameter.detach().clone() for name, parameter in module.model.named_parameters()}

    trainer = fit_one_step(module)

    assert trainer.global_step == 1
    assert module.last_step.names == names
    assert np.abs(module.last_step.weights.numpy() - weights).max() < 1e-7
    for adversarial_weight in (floors or {}).items():
        assert module.last_step.weights[names.index(adversarial_weight[0])] >= adversarial_weight[1] - 1e-12
    computed = torch.cat([p.grad.flatten() for p in module.model.shared_parameters()]).numpy()
    assert np.abs(computed - combined).max() < 1e-9
    for task in NAMES:
        for parameter, expected in zip(module.model.decoder_parameters(task), heads[task], strict=True):
            assert (parameter.grad - expected).abs().max() < 1e-9
    for name, parameter in module.model.named_parameters():
        expected = before[name] - LR * (parameter.grad + 0.01 * before[name])
        assert (parameter.detach() - expected).abs().max() < 1e-9


def test_the_step_fits_on_one_screen_and_names_the_steps_of_algorithm_1():
    lines, _ = inspect.getsourcelines(GATModule.training_step)
    text = "".join(lines)
    (function,) = ast.parse(textwrap.dedent(text)).body
    documented = function.body[0]
    code = [line for line in lines[: documented.lineno - 1] + lines[documented.end_lineno :] if line.strip()]
    assert len(code) <= 30
    assert [number for number in ("2.1", "2.2", "2.3", "2.4", "2.5") if f"# {number}: " not in text] == []
    assert len(inspect.getsourcelines(inspect.getmodule(GATModule))[0]) < 250

"""Adversarial weights where an autocast keeps casts of the weights."""

import torch
from torch import nn

from gat_lightning.methods import WeightPerturbation


def model_and_data():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    return model, torch.rand(16, 6), torch.randint(3, (16,))


def gradients(gamma, autocast):
    """At the perturbed weights, and afterwards at those of the model again."""
    model, x, y = model_and_data()

    def loss():
        return nn.functional.cross_entropy(model(x), y)

    found = []
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        with WeightPerturbation(gamma)(model, lambda: [loss()]):
            found.append(torch.autograd.grad(loss(), list(model.parameters())))
        found.append(torch.autograd.grad(loss(), list(model.parameters())))
    return [torch.cat([each.flatten() for each in every]) for every in found]


def test_the_perturbation_changes_gradients_in_an_autocast_as_outside():
    shifts = []
    for autocast in (False, True):
        plain, perturbed = (gradients(gamma, autocast)[0] for gamma in (None, 0.3))
        shifts.append(perturbed - plain)
    outside, inside = shifts
    assert (inside - outside).norm() < 0.1 * outside.norm()


def test_after_the_block_an_autocast_sees_the_weights_of_the_model():
    before, after = (gradients(gamma, True)[1] for gamma in (None, 0.3))
    assert torch.equal(before, after)

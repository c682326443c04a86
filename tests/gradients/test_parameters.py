"""Tied and frozen parameters and mixed types: the engine against a plain backward of the weighted sum."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gat_lightning.gradients import GradientEngine, Objective
from gat_lightning.weighting import MGDA, Equal, Fixed

TASKS = {"class": 5, "macro": 5}
NAMES = [f"{task}/{view}" for view in ("clean", "adv") for task in TASKS]
WEIGHTS = dict(zip(NAMES, (1.0, 0.5, 2.0, 0.1), strict=True))


class Net(nn.Module):
    """A trunk of two layers, the second from 5 features to 5, and a head of 5 outputs for each task."""

    def __init__(self, dtypes=(torch.float64,) * 4):
        super().__init__()
        torch.manual_seed(0)
        first, second, *heads = dtypes
        self.first, self.second = nn.Linear(4, 5).to(first), nn.Linear(5, 5).to(second)
        self.heads = nn.ModuleDict(
            {task: nn.Linear(5, TASKS[task]).to(dtype) for task, dtype in zip(TASKS, heads, strict=True)}
        )

    @property
    def trunk(self):
        return [*self.first.parameters(), *self.second.parameters()]

    def features(self, x):
        hidden = torch.tanh(self.first(x.to(self.first.weight.dtype)))
        return torch.tanh(self.second(hidden.to(self.second.weight.dtype)))

    def objectives(self):
        generator = torch.Generator().manual_seed(1)
        x, taps, found = torch.randn(9, 4, dtype=torch.float64, generator=generator), [], []
        for view, images in (("clean", x), ("adv", x.flip(1))):
            features = self.features(images)
            taps.append(features.view_as(features))
            for task, head in self.heads.items():
                labels = torch.randint(TASKS[task], (len(x),), generator=torch.Generator().manual_seed(len(task)))
                loss = cross_entropy(head(taps[-1].to(head.weight.dtype)), labels)
                found.append(Objective(f"{task}/{view}", task, loss))
        return found, taps

    def engine(self, weighting, **settings):
        return GradientEngine(
            self.trunk, {t: head.parameters() for t, head in self.heads.items()}, weighting, **settings
        )


def tie_trunk_and_head(net):
    net.second.weight = net.heads["class"].weight


def tie_heads(net):
    net.heads["macro"].weight = net.heads["class"].weight


def tie_layers(net):
    net.second.bias = net.first.bias


def tie_all(net):
    tie_trunk_and_head(net)
    tie_heads(net)
    tie_layers(net)


TIES = [tie_trunk_and_head, tie_heads, tie_layers, tie_all]


def gradients(net):
    return [None if parameter.grad is None else parameter.grad.clone() for parameter in net.parameters()]


def backward(net, weights):
    """The gradients that a plain backward of the weighted sum leaves."""
    net.zero_grad()
    sum(weights[objective.name] * objective.loss.double() for objective in net.objectives()[0]).backward()
    return gradients(net)


def check_equal(found, expected, **tolerance):
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype
            torch.testing.assert_close(one, other, **tolerance)


@pytest.mark.parametrize("weighting", [Equal(), Fixed(WEIGHTS)], ids=["equal", "fixed"])
@pytest.mark.parametrize("tie", TIES)
def test_tied_weights_get_the_gradient_of_a_plain_backward(tie, weighting):
    net = Net()
    tie(net)
    objectives, _ = net.objectives()
    both = sum(objective.loss for objective in objectives)
    net.engine(weighting).step([*objectives, Objective("both/fixed", None, both, weight=0.3)])
    found = gradients(net)
    weights = weighting.weights if isinstance(weighting, Fixed) else dict.fromkeys(NAMES, 1.0)
    expected = backward(net, {name: weight + 0.3 for name, weight in weights.items()})
    check_equal(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("tie", TIES)
def test_tied_weights_are_counted_once(tie):
    """In the Gramian, in the weights that follow and in the norm that is clipped."""
    net = Net()
    tie(net)
    shared = list(dict.fromkeys(net.trunk))
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(objective.loss, shared, retain_graph=True)])
        for objective in net.objectives()[0]
    ]
    jacobian = torch.stack(rows)
    step = net.engine(MGDA(), clip_norm=1e-3).step(net.objectives()[0])
    torch.testing.assert_close(step.gramian, jacobian @ jacobian.T, rtol=1e-12, atol=1e-15)
    assert torch.cat([g.flatten() for g in gradients(net)]).norm() == pytest.approx(1e-3, rel=1e-3)
    net.engine(MGDA()).step(net.objectives()[0])
    found = torch.cat([parameter.grad.flatten() for parameter in shared])
    torch.testing.assert_close(found, step.weights @ jacobian, rtol=1e-12, atol=1e-15)


def test_decoders_that_are_tied_get_the_sum_of_their_tasks_gradients_under_an_adaptive_weighting():
    net = Net()
    tie_heads(net)
    net.engine(MGDA()).step(net.objectives()[0])
    weight = net.heads["class"].weight
    found = weight.grad.clone()
    expected = torch.autograd.grad(sum(objective.loss for objective in net.objectives()[0]), weight)[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


def test_a_tie_between_encoder_and_decoder_has_no_gradient_at_the_representation():
    net = Net()
    tie_trunk_and_head(net)
    with pytest.raises(ValueError, match="tied between the encoder and a decoder, here that of 'class'"):
        net.engine(Equal(), space="representation")


FROZEN = {
    "some": lambda net: [net.first.weight, net.second.bias, net.heads["macro"].bias],
    "trunk": lambda net: net.trunk,
    "decoder": lambda net: net.heads["macro"].parameters(),
    "all but one": lambda net: [each for each in net.parameters() if each is not net.heads["class"].bias],
}


@pytest.mark.parametrize("space", ["parameters", "representation"])
@pytest.mark.parametrize("frozen", FROZEN.values(), ids=FROZEN)
def test_frozen_parameters_get_no_gradient_and_the_others_that_of_a_plain_backward(frozen, space):
    net = Net()
    for parameter in frozen(net):
        parameter.requires_grad_(False)
        parameter.grad = torch.ones_like(parameter)  # of a step before it was frozen
    objectives, taps = net.objectives()
    step = net.engine(Equal(), space=space).step(objectives, taps)
    found = gradients(net)
    assert step.weights.tolist() == [1.0] * 4
    check_equal(found, backward(net, dict.fromkeys(NAMES, 1.0)), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("space", ["parameters", "representation"])
def test_a_linear_probe_trains_its_heads_under_an_adaptive_weighting(space):
    net = Net()
    for parameter in net.trunk:
        parameter.requires_grad_(False)
    objectives, taps = net.objectives()
    step = net.engine(MGDA(floor={"class/adv": 0.5}, rescale=True), space=space, clip_norm=100.0).step(objectives, taps)
    assert step.empty == []
    assert step.stationarity == 0
    check_equal(gradients(net), backward(net, dict.fromkeys(NAMES, 1.0)), rtol=1e-12, atol=1e-15)


def test_parameters_may_be_frozen_and_thawed_between_steps():
    net = Net()
    engine = net.engine(Equal())
    for trainable in (True, False, True):
        net.second.requires_grad_(trainable)
        engine.step(net.objectives()[0])
        found = gradients(net)
        check_equal(found, backward(net, dict.fromkeys(NAMES, 1.0)), rtol=1e-12, atol=1e-15)


DTYPES = {
    "float64 and float32": (torch.float32, torch.float64, torch.float32, torch.float64),
    "bfloat16 and float32": (torch.bfloat16, torch.float32, torch.float32, torch.bfloat16),
    "bfloat16": (torch.bfloat16,) * 4,
}


@pytest.mark.parametrize("clip_norm", [None, 1e-2])
@pytest.mark.parametrize("space", ["parameters", "representation"])
@pytest.mark.parametrize("dtypes", DTYPES.values(), ids=DTYPES)
def test_parameters_of_several_types_get_gradients_of_theirs(dtypes, space, clip_norm):
    net = Net(dtypes)
    objectives, taps = net.objectives()
    both = sum(objective.loss.float() for objective in objectives)
    engine = net.engine(Equal(), space=space, clip_norm=clip_norm)
    step = engine.step([*objectives, Objective("both/fixed", None, both, weight=0.5)], taps)
    found = gradients(net)
    assert step.gramian.isfinite().all()
    expected = backward(net, dict.fromkeys(NAMES, 1.5))
    if clip_norm is not None:
        norm = torch.cat([gradient.flatten().double() for gradient in expected]).norm()
        expected = [gradient * (clip_norm / norm).to(gradient.dtype) for gradient in expected]
    rounding = 1e-5 if torch.bfloat16 not in dtypes else 3e-2
    scale = max(gradient.abs().max().item() for gradient in expected)
    check_equal(found, expected, rtol=rounding, atol=rounding * scale)
    torch.optim.SGD(net.parameters(), lr=0.1).step()

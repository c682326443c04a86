"""The representation space against plain autograd, and parts of a batch against the whole."""

import pytest
import torch

from gat_lightning.errors import SettingError
from gat_lightning.gradients.objectives import Objective
from gat_lightning.gradients.spaces import FlatLayout
from gat_lightning.weighting import MGDA, Equal, min_norm
from support.two_task_net import TASKS, Net, engine_for


def problem(size=9):
    torch.manual_seed(0)
    labels = {task: torch.randint(classes, (size,)) for task, classes in TASKS.items()}
    return Net().double(), torch.randn(size, 4, dtype=torch.float64), labels


def gradients_of(net):
    return torch.cat([parameter.grad.flatten() for parameter in net.parameters()])


def rows(net, x, labels, inputs_of):
    """Gradient of every objective with respect to something, by plain autograd."""
    found = []
    for k in range(4):
        objectives, taps = net.objectives(x, labels, len(x))
        inputs = inputs_of(taps)
        found.append(torch.autograd.grad(objectives[k].loss, inputs, allow_unused=True, materialize_grads=True))
    return torch.stack([torch.cat([piece.flatten() for piece in row]) for row in found])


def test_weights_follow_from_the_gramian_at_the_decoders_inputs():
    net, x, labels = problem()
    at_taps = rows(net, x, labels, lambda taps: taps)
    at_parameters = rows(net, x, labels, lambda taps: net.shared)
    objectives, taps = net.objectives(x, labels, len(x))
    step = engine_for(net, MGDA(), "representation").step(objectives, representation=taps)
    assert torch.allclose(step.gramian, at_taps @ at_taps.T, atol=1e-14)
    assert torch.allclose(step.weights, min_norm(step.gramian), atol=1e-12)
    combined = torch.cat([parameter.grad.flatten() for parameter in net.shared])
    assert torch.allclose(combined, step.weights @ at_parameters, atol=1e-14)


def test_clean_and_adversarial_gradients_are_orthogonal_there():
    net, x, labels = problem()
    objectives, taps = net.objectives(x, labels, len(x))
    gramian = engine_for(net, MGDA(), "representation").step(objectives, representation=taps).gramian
    assert gramian[:2, 2:].abs().max() == 0
    assert gramian[0, 1].abs() > 0


def fixed_objectives(net, x, labels, weights):
    """Objectives with fixed weights, each another function of both tasks' outputs."""
    losses = net.losses(net.encode(x), labels)
    both = losses["class"].square() + losses["macro"]
    return [Objective(f"fixed/{k}", None, (both ** (k + 1)).mean(), weight=w) for k, w in enumerate(weights)]


@pytest.mark.parametrize("weights", [(), (1.0,), (0.3, 2.0)])
@pytest.mark.parametrize("space", ["parameters", "representation"])
def test_under_equal_weights_the_step_is_a_backward_of_the_sum(space, weights):
    net, x, labels = problem()
    objectives, taps = net.objectives(x, labels, len(x))
    step = engine_for(net, Equal(), space).step([*objectives, *fixed_objectives(net, x, labels, weights)], taps)
    found = gradients_of(net)
    net.zero_grad()
    added = [objective.weight * objective.loss for objective in fixed_objectives(net, x, labels, weights)]
    (sum(objective.loss for objective in net.objectives(x, labels, len(x))[0]) + sum(added)).backward()
    assert step.penalty == pytest.approx(sum(each.item() for each in added))
    assert step.names == [objective.name for objective in objectives]
    assert torch.allclose(found, gradients_of(net), atol=1e-14)


@pytest.mark.parametrize("space", ["parameters", "representation"])
@pytest.mark.parametrize("weighting", [Equal(), MGDA(), MGDA(normalize="loss+", rescale=True)])
def test_parts_add_up_to_the_whole_batch(space, weighting):
    net, x, labels = problem()
    objectives, taps = net.objectives(x, labels, len(x))
    engine = engine_for(net, weighting, space)
    whole = engine.step([*objectives, Objective("fixed/sum", None, taps[0].sum(), weight=0.7)], taps)
    expected = gradients_of(net)
    for part in (slice(0, 4), slice(4, 5), slice(5, 9)):
        own = {task: label[part] for task, label in labels.items()}
        objectives, taps = net.objectives(x[part], own, len(x))
        engine.accumulate([*objectives, Objective("fixed/sum", None, taps[0].sum(), weight=0.7)], taps)
    step = engine.finish()
    assert torch.allclose(step.gramian, whole.gramian, atol=1e-14)
    assert torch.allclose(step.losses, whole.losses, atol=1e-14)
    assert step.penalty == pytest.approx(whole.penalty)
    assert torch.allclose(gradients_of(net), expected, atol=1e-13)


def refuse(gradient):
    raise RuntimeError("no gradient")


def test_a_step_that_failed_leaves_nothing_behind():
    net, x, labels = problem()
    engine = engine_for(net, MGDA(), "representation")
    objectives, taps = net.objectives(x, labels, len(x))
    engine.step(objectives, representation=taps)
    expected = gradients_of(net)
    objectives, taps = net.objectives(x, labels, len(x))
    objectives[-1].loss.register_hook(refuse)
    with pytest.raises(RuntimeError, match="no gradient"):
        engine.accumulate(objectives, taps)
    objectives, taps = net.objectives(x, labels, len(x))
    engine.step(objectives, representation=taps)
    assert torch.equal(gradients_of(net), expected)


def test_a_space_without_a_representation_and_an_unknown_space_are_refused():
    net, x, labels = problem()
    with pytest.raises(ValueError, match="needs the tensors that the encoder handed to the decoders"):
        engine_for(net, MGDA(), "representation").step(net.objectives(x, labels, 9)[0])
    with pytest.raises(SettingError, match="space='pixels': it must be one of: parameters, representation"):
        engine_for(net, MGDA(), "pixels")


def test_pieces_of_a_flat_vector_have_the_layout_of_the_tensors():
    tensors = [torch.zeros(3, 2, 3, 3).to(memory_format=torch.channels_last), torch.zeros(5), torch.zeros(2, 4, 1, 1)]
    layout = FlatLayout(tensors)
    flat = torch.arange(layout.size, dtype=torch.float32)
    pieces = list(layout.pieces(flat))
    assert [piece.stride() for piece in pieces] == [tensor.stride() for tensor in tensors]
    assert torch.equal(torch.cat([piece.flatten() for piece in pieces]).sort().values, flat)

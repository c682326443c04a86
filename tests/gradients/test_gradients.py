import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from gat_lightning.errors import NonFiniteError, SettingError
from gat_lightning.gradients import GradientEngine, Objective, spaces
from gat_lightning.gradients.spaces import gramian
from gat_lightning.weighting import MGDA, Equal, Fixed
from support.stand_in_device import DEVICE, StandInDevice


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh())
        self.heads = nn.ModuleDict({"class": nn.Linear(5, 3), "macro": nn.Linear(5, 2)})

    def objectives(self, x, y, z, part=1.0):
        features = self.trunk(x)
        target = nn.functional.cross_entropy(self.heads["class"](features), y)
        macro = nn.functional.cross_entropy(self.heads["macro"](features), z)
        return [
            Objective("class/clean", "class", part * target),
            Objective("macro/clean", "macro", part * macro),
            Objective("class/square", "class", part * target**2),
            Objective("macro/curvature", "macro", part * (target * macro), decoder=False),
        ]


def problem(seed=0, size=9):
    torch.manual_seed(seed)
    model = Model().double()
    data = (torch.randn(size, 4, dtype=torch.float64), torch.randint(3, (size,)), torch.randint(2, (size,)))
    return model, data


def engine_for(model, weighting):
    return GradientEngine(
        list(model.trunk.parameters()), {name: list(head.parameters()) for name, head in model.heads.items()}, weighting
    )


def flat(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients])


def shared_gradients(model, data):
    """One row per objective, each from a graph of its own."""
    rows = []
    for k in range(4):
        loss = model.objectives(*data)[k].loss
        rows.append(flat(torch.autograd.grad(loss, list(model.trunk.parameters()))))
    return torch.stack(rows)


def test_step_under_an_adaptive_weighting():
    model, data = problem()
    jacobian = shared_gradients(model, data)
    step = engine_for(model, MGDA()).step(model.objectives(*data))
    assert step.names == ["class/clean", "macro/clean", "class/square", "macro/curvature"]
    assert torch.allclose(step.gramian, jacobian @ jacobian.T, rtol=1e-12)
    assert torch.equal(step.weights, MGDA()(jacobian @ jacobian.T)) or torch.allclose(
        step.weights, MGDA()(jacobian @ jacobian.T), atol=1e-9
    )
    combined = flat([parameter.grad for parameter in model.trunk.parameters()])
    assert torch.allclose(combined, step.weights @ jacobian, rtol=1e-12)
    assert step.stationarity == pytest.approx(combined.norm().item(), rel=1e-9)
    assert torch.allclose(step.losses, torch.stack([o.loss for o in model.objectives(*data)]).detach())
    norms = jacobian.norm(dim=1)
    assert torch.allclose(step.cosines(), jacobian @ jacobian.T / (norms[:, None] * norms), atol=1e-12)


def test_decoders_get_unit_weights_of_their_own_objectives_and_none_of_the_curvature():
    model, data = problem()
    engine_for(model, MGDA()).step(model.objectives(*data))
    target, macro, square, _ = model.objectives(*data)
    for name, loss in (("class", target.loss + square.loss), ("macro", macro.loss)):
        parameters = list(model.heads[name].parameters())
        expected = torch.autograd.grad(loss, parameters, retain_graph=True)
        assert torch.allclose(flat([p.grad for p in parameters]), flat(expected), rtol=1e-12)


def test_a_static_weighting_is_backward_on_the_weighted_sum():
    model, data = problem()
    engine_for(model, Equal()).step(model.objectives(*data))
    computed = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    sum(objective.loss for objective in model.objectives(*data)).backward()
    assert torch.allclose(flat(computed), flat([parameter.grad for parameter in model.parameters()]), rtol=1e-12)


@pytest.mark.parametrize(("weighting", "weight"), [(Equal(), 1.0), (Fixed({"macro/clean": 0.5}), 0.5)])
def test_a_head_of_zeros_trains_under_a_static_weighting(weighting, weight):
    model, data = problem()
    for parameter in model.heads["macro"].parameters():
        nn.init.zeros_(parameter)
    step = engine_for(model, weighting).step(model.objectives(*data)[:2])
    assert step.empty == ["macro/clean"]
    computed = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    target, macro, *_ = model.objectives(*data)
    (target.loss + weight * macro.loss).backward()
    assert torch.allclose(flat(computed), flat([parameter.grad for parameter in model.parameters()]), rtol=1e-12)
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert model.heads["macro"].weight.any()
    assert model.objectives(*data)[1].loss < macro.loss


@pytest.mark.parametrize("weighting", [MGDA(), Equal()])
def test_an_objective_with_a_weight_reaches_every_parameter_outside_the_weighting(weighting):
    model, data = problem()
    plain = engine_for(model, weighting).step(model.objectives(*data)[:2])
    before = [parameter.grad.clone() for parameter in model.parameters()]
    first, second, _, other = model.objectives(*data)
    step = engine_for(model, weighting).step([first, replace(other, weight=0.3), second])
    assert step.names == plain.names
    assert step.penalty == pytest.approx(0.3 * other.loss.item())
    assert torch.equal(step.gramian, plain.gramian)
    assert torch.equal(step.weights, plain.weights)
    expected = torch.autograd.grad(0.3 * model.objectives(*data)[3].loss, list(model.parameters()))
    difference = flat([p.grad for p in model.parameters()]) - flat(before)
    assert torch.allclose(difference, flat(expected), atol=1e-14)


def test_objectives_without_gradient_are_left_out():
    model, data = problem()
    first, second, *_ = model.objectives(*data)
    nothing = Objective("rotation/clean", "macro", 0 * second.loss)
    constant = Objective("jigsaw/clean", "macro", torch.zeros((), dtype=torch.float64))
    step = engine_for(model, MGDA()).step([first, nothing, second, constant])
    assert step.empty == ["rotation/clean", "jigsaw/clean"]
    assert step.weights[[1, 3]].tolist() == [0, 0]
    assert step.weights.sum() == pytest.approx(1)
    alone = engine_for(model, MGDA()).step(model.objectives(*data)[:2])
    assert torch.allclose(step.weights[[0, 2]], alone.weights)
    all_empty = engine_for(model, MGDA()).step([nothing_of(model)])
    assert all_empty.weights.tolist() == [0]
    assert all(not parameter.grad.any() for parameter in model.trunk.parameters())


def nothing_of(model):
    return Objective("class/clean", "class", 0 * model.trunk(torch.ones(1, 4, dtype=torch.float64)).sum())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_objective_that_is_not_finite_is_named_and_nothing_is_written(value):
    model, data = problem()
    objectives = model.objectives(*data)
    objectives[1].loss = objectives[1].loss * value
    with pytest.raises(NonFiniteError, match="objective 'macro/clean' is not finite"):
        engine_for(model, MGDA()).step(objectives)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1.0, 1e15])
@pytest.mark.parametrize("columns", [1, 5, 4_096, 65_536, 300_000])
def test_gramian_of_float32_gradients_keeps_its_range(scale, columns):
    torch.manual_seed(0)
    gradients = torch.randn(3, columns) * scale
    expected = gradients.double() @ gradients.double().T
    assert torch.allclose(gramian(gradients), expected, rtol=1e-12, atol=0)
    assert (gramian(gradients).diagonal() > 0).all()


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_the_gramian_on_a_gpu_sums_blocks_of_many_products_in_float64(scale, monkeypatch):
    monkeypatch.setattr(spaces, "_GPU_BLOCK", (1 << 14, 1 << 12))
    torch.manual_seed(0)
    gradients = (torch.randn(2, 3 * (1 << 14) + (1 << 12) + 7, dtype=torch.float64) + 0.1) * scale
    first, second = gradients.numpy() / scale
    exact = [[math.fsum(a * b) for b in (first, second)] for a in (first, second)]
    with StandInDevice():
        computed = gramian(gradients.to(DEVICE)).cpu() / scale / scale
    assert torch.allclose(computed, torch.tensor(exact, dtype=torch.float64), rtol=1e-13, atol=0)


def test_the_buffer_is_kept_between_steps():
    model, data = problem()
    engine = engine_for(model, MGDA())
    engine.step(model.objectives(*data))
    address = engine._gradients._buffer.data_ptr()
    engine.step(model.objectives(*data)[:2])
    engine.step(model.objectives(*data))
    assert engine._gradients._buffer.data_ptr() == address


@pytest.mark.parametrize("clip", [1e-3, 1e3])
def test_clipping_scales_the_whole_step(clip):
    model, data = problem()
    engine_for(model, MGDA()).step(model.objectives(*data))
    plain = flat([parameter.grad for parameter in model.parameters()])
    engine = engine_for(model, MGDA())
    engine.clip_norm = clip
    engine.step(model.objectives(*data))
    clipped = flat([parameter.grad for parameter in model.parameters()])
    assert torch.allclose(clipped, plain * min(1.0, clip / plain.norm().item()), rtol=1e-3)


def test_a_clip_norm_of_zero_is_refused():
    with pytest.raises(SettingError, match="clip_norm=0: it must be None or a number above 0"):
        GradientEngine([], {}, Equal(), clip_norm=0)

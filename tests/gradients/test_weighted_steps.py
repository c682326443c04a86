"""A step between two solves gets the gradient of a solve with the same weights, from one backward pass."""

import inspect
from dataclasses import replace

import pytest
import torch
from torch import nn

from gat_lightning import weighting as weightings
from gat_lightning.errors import NonFiniteError
from gat_lightning.gradients import GradientEngine, Objective
from gat_lightning.weighting import MGDA, Equal, Fixed, Weighting
from support.given_weights import Given
from support.two_task_net import batch, engine_for, net

RULES = [
    rule
    for name in weightings.__all__
    if inspect.isclass(rule := getattr(weightings, name))
    and issubclass(rule, Weighting)
    and not inspect.isabstract(rule)
    and rule.needs_gramian
    and not rule.needs_pairs  # its objectives would be others
]
SIZE = 8


def objectives(model, images, labels, total, fixed):
    """Two losses per task, one term that trains no decoder, one that depends on both passes, and maybe a penalty."""
    found, taps = model.objectives(images, labels, total)
    first, _, second, other = (each.loss for each in found)
    found.append(Objective("macro/curvature", "macro", first * other, decoder=False))
    found.append(Objective("class/kl", "class", (first - second) ** 2))
    if fixed:
        found.insert(1, Objective("curvature/penalty", None, first * other * second, weight=0.7))
    return found, taps


def take_step(model, engine, seed, parts=1, fixed=False):
    images, labels = batch(seed)
    for rows in torch.arange(SIZE).chunk(parts):
        part = {task: label[rows] for task, label in labels.items()}
        engine.accumulate(*objectives(model, images[rows], part, SIZE, fixed))
    step = engine.finish()
    return step, torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(("space", "parts"), [("parameters", 1), ("parameters", 2), ("representation", 2)])
@pytest.mark.parametrize("rule", RULES)
def test_its_gradient_is_that_of_a_solve_with_these_weights(rule, space, parts, fixed):
    model = net()
    engine = engine_for(model, rule(), solve_every=2, clip_norm=0.3, space=space)
    solved, _ = take_step(model, engine, 0, parts, fixed)
    between, computed = take_step(model, engine, 1, parts, fixed)
    assert (solved.solved, between.solved, between.gramian) == (True, False, None)
    assert torch.allclose(between.weights, solved.weights, rtol=1e-12)
    given = engine_for(model, Given(between.weights, rule.adaptive), clip_norm=0.3)
    again, expected = take_step(model, given, 1, parts, fixed)
    assert torch.allclose(computed, expected, rtol=1e-12, atol=1e-14)
    assert torch.allclose(between.losses, again.losses, rtol=1e-14)
    assert between.penalty == pytest.approx(again.penalty, rel=1e-14)
    assert between.names == again.names


@pytest.mark.parametrize("adaptive", [True, False])
def test_weights_that_are_tied_between_encoder_and_decoder_get_the_gradient_of_both_uses(adaptive):
    torch.manual_seed(0)
    first, head = nn.Linear(3, 3, bias=False).double(), nn.Linear(3, 3, bias=False).double()
    head.weight = first.weight
    other = nn.Linear(3, 2).double()
    x, z = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 1, 1, 0, 1])
    decoders = {"a": [head.weight], "b": list(other.parameters())}
    found = []
    for engine in (
        GradientEngine([first.weight], decoders, Given([0.3, 0.7], adaptive), solve_every=2),
        GradientEngine([first.weight], decoders, Given([0.3, 0.7], adaptive)),
    ):
        for _ in range(2):
            features = torch.tanh(first(x))
            losses = head(features).square().mean(), nn.functional.cross_entropy(other(features), z)
            engine.step([Objective("a/clean", "a", losses[0]), Objective("b/clean", "b", losses[1])])
        found.append(torch.cat([p.grad.flatten() for p in [first.weight, *other.parameters()]]))
    assert torch.allclose(*found, rtol=1e-12)


def test_its_encoder_is_differentiated_once():
    model, passes = net(), []

    def count(module, inputs, output):
        output.register_hook(lambda gradient: passes.append(len(gradient)))

    model.first.register_forward_hook(count)
    engine = engine_for(model, MGDA(), solve_every=3)
    found = []
    for seed in range(4):
        passes.clear()
        engine.step(losses_of(model, list(enumerate(["class/clean", "macro/clean", "class/square"])), seed))
        found.append(len(passes))
    assert found == [3, 1, 1, 3]


def losses_of(model, names, seed=0):
    images, labels = batch(seed)
    losses = {task: loss.mean() for task, loss in model.losses(model.encode(images), labels).items()}
    return [Objective(name, name.partition("/")[0], losses[name.partition("/")[0]] ** (k + 1)) for k, name in names]


def test_the_weights_of_those_present_are_renormalised_where_they_sum_to_one():
    names = list(enumerate(["class/clean", "macro/clean", "class/square"]))
    for given, expected in (([0.2, 0.3, 0.5], [0.4, 0.6]), ([2.0, 3.0, 5.0], [2.0, 3.0]), ([0, 0, 1.0], [0.5, 0.5])):
        model = net()
        engine = engine_for(model, Given(given), solve_every=2)
        engine.step(losses_of(model, names))
        step = engine.step(losses_of(model, names[:2]))
        assert not step.solved
        assert step.weights.tolist() == pytest.approx(expected, abs=1e-15)


def test_an_objective_that_no_solve_has_weighed_makes_a_solve():
    names = list(enumerate(["class/clean", "macro/clean", "class/square"]))
    model = net()
    engine = engine_for(model, MGDA(), solve_every=10)
    solved = [engine.step(losses_of(model, names[:count])).solved for count in (2, 2, 3, 3, 2)]
    assert solved == [True, False, True, False, False]


def test_an_objective_without_a_gradient_at_the_solve_keeps_its_weight_of_an_earlier_one():
    model = net()
    engine = engine_for(model, MGDA(), solve_every=2)
    two = list(enumerate(["class/clean", "macro/clean"]))
    first = engine.step(losses_of(model, two))
    engine.step(losses_of(model, two, 1))
    objectives = losses_of(model, two, 2)
    solve = engine.step([objectives[0], replace(objectives[1], loss=0 * objectives[1].loss)])
    assert solve.solved
    assert solve.empty == ["macro/clean"]
    assert solve.weights.tolist() == [1, 0]
    between = engine.step(losses_of(model, two, 3))
    kept = float(first.weights[1])
    assert between.weights.tolist() == pytest.approx([1 / (1 + kept), kept / (1 + kept)])


@pytest.mark.parametrize("bad", ["loss", "encoder", "head", "fixed"])
@pytest.mark.parametrize("weighting", [MGDA(), Equal()])
def test_what_is_not_finite_stops_it_before_any_gradient_is_written(weighting, bad):
    model = net()
    engine = engine_for(model, weighting, solve_every=2)
    take_step(model, engine, 0)
    before = [parameter.grad.clone() for parameter in model.parameters()]
    images, labels = batch(1)
    found, taps = objectives(model, images, labels, SIZE, fixed=bad == "fixed")
    if bad in ("loss", "fixed"):
        place = 1 if bad == "fixed" else 0
        found[place] = replace(found[place], loss=found[place].loss * float("inf"))
    elif bad == "encoder":
        taps[0].register_hook(lambda gradient: gradient * float("nan"))
    else:
        root = (model.heads["class"].weight - model.heads["class"].weight.detach()).abs().sum().sqrt()
        found[0] = replace(found[0], loss=found[0].loss + root)  # finite, with an infinite or undefined gradient
    said = found[1 if bad == "fixed" else 0].name if bad in ("loss", "fixed") else "weighted sum of class/clean"
    with pytest.raises(NonFiniteError, match=said):
        engine.step(found)
    for parameter, gradient in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter.grad, gradient)
    assert engine.steps == 1
    assert not take_step(model, engine, 2)[0].solved


@pytest.mark.parametrize("split", [1, 2, 3, 5])
def test_a_state_goes_on_in_the_middle_of_a_cycle(split):
    def train(engine, model, seeds):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for seed in seeds:
            steps.append(take_step(model, engine, seed)[0])
            optimizer.step()

    runs = []
    for cut in (0, split):
        steps, model = [], net()
        engine = engine_for(model, MGDA(normalize="l2"), solve_every=3)
        train(engine, model, range(cut))
        state = engine.state()
        engine = engine_for(model, MGDA(normalize="l2"), solve_every=3)
        engine.load_state(state)
        train(engine, model, range(cut, 7))
        assert engine.solved.names == steps[6].names
        assert torch.equal(engine.solved.gramian, steps[6].gramian)
        runs.append((steps, torch.nn.utils.parameters_to_vector(model.parameters())))
    assert [step.solved for step in runs[1][0]] == [True, False, False] * 2 + [True]
    for whole, resumed in zip(runs[0][0], runs[1][0], strict=True):
        assert torch.equal(whole.weights, resumed.weights)
    assert torch.equal(runs[0][1], runs[1][1])


def test_the_figures_that_it_has_not_are_refused():
    model = net()
    engine = engine_for(model, Fixed(), solve_every=2)
    take_step(model, engine, 0)
    step, _ = take_step(model, engine, 1)
    for figure in (lambda: step.stationarity, step.cosines, step.norms):
        with pytest.raises(ValueError, match=r"no Gramian.*engine\.solved"):
            figure()
    assert engine.solved.stationarity > 0

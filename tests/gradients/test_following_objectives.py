"""Objectives whose weight follows that of others: added to the step, and unseen by the weighting."""

import pytest
import torch

from gat_lightning.errors import NonFiniteError
from gat_lightning.gradients import Objective
from gat_lightning.weighting import FAMO, IMTL, MGDA, Equal, Fixed
from support.two_task_net import TASKS, batch, engine_for, net

SIZE, SEED, WEIGHT, PENALTY = 8, 3, 0.6, 0.7
FOLLOWED = ("class/clean", "class/adv")
NAMES = [f"{task}/{view}" for view in ("clean", "adv") for task in TASKS]
FIXED = dict(zip(NAMES, (1.0, 0.5, 2.0, 0.1), strict=True))
RULES = {"mgda": MGDA, "imtl": IMTL, "equal": Equal, "fixed": lambda: Fixed(FIXED), "famo": FAMO}


def losses_of(model, images, total):
    """The mean squared change of the class logits from x to x flipped, and another term."""
    before, after = (model.heads["class"](model.encode(seen).pooled) for seen in (images, images.flip(1)))
    return (after - before).square().sum() / total, after.square().sum() / total


def objectives(model, images, labels, total):
    found, taps = model.objectives(images, labels, total)
    follower, penalty = losses_of(model, images, total)
    found.insert(1, Objective("penalty", None, penalty, weight=PENALTY))
    found.append(Objective("class/consistency", "class", follower, weight=WEIGHT, follows=FOLLOWED))
    return found, taps


def take_step(engine, model, parts=1):
    images, labels = batch(SEED)
    for rows in torch.arange(SIZE).chunk(parts):
        own = {task: label[rows] for task, label in labels.items()}
        engine.accumulate(*objectives(model, images[rows], own, SIZE))
    return engine.finish()


def gradient_of(loss, parameters):
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
    return torch.cat([each.flatten() for each in found])


@pytest.mark.parametrize(("space", "parts"), [("parameters", 1), ("parameters", 3), ("representation", 2)])
@pytest.mark.parametrize("rule", [name for name in RULES if name != "famo"])
@pytest.mark.parametrize("between", [False, True], ids=["solved", "between"])
def test_its_gradient_is_added_with_the_sum_of_the_weights_that_it_follows(rule, space, parts, between):
    model = net()
    engine = engine_for(model, RULES[rule](), space, solve_every=2)
    step = take_step(engine, model, parts)
    if between:
        step = take_step(engine, model, parts)
    assert step.solved != between
    images, labels = batch(SEED)
    weighed, _ = model.objectives(images, labels, SIZE)
    follower, penalty = losses_of(model, images, SIZE)
    weights = dict(zip(step.names, step.weights.tolist(), strict=True))
    assert step.names == NAMES

    total = sum(weights[each.name] * each.loss for each in weighed)
    total = total + PENALTY * penalty + WEIGHT * (weights["class/clean"] + weights["class/adv"]) * follower
    of_decoder = sum(each.loss for each in weighed) + PENALTY * penalty + WEIGHT * 2 * follower
    adaptive = rule in ("mgda", "imtl")
    for parameters, loss in ((model.shared, total), (model.heads.parameters(), of_decoder if adaptive else total)):
        parameters = list(parameters)
        computed = torch.cat([each.grad.flatten() for each in parameters])
        assert torch.allclose(computed, gradient_of(loss, parameters), rtol=1e-11, atol=1e-13)

    value, coefficient = step.followers["class/consistency"]
    assert value == pytest.approx(follower.item(), rel=1e-12)
    assert coefficient == pytest.approx(WEIGHT * (weights["class/clean"] + weights["class/adv"]), rel=1e-12)
    assert step.penalty == pytest.approx(PENALTY * penalty.item(), rel=1e-12)


def test_a_weighting_that_follows_the_losses_has_it_in_its_one_pass():
    model = net()
    step = take_step(engine_for(model, FAMO()), model, parts=2)
    images, labels = batch(SEED)
    weighed, _ = model.objectives(images, labels, SIZE)
    follower, penalty = losses_of(model, images, SIZE)
    weights = dict(zip(step.names, step.weights.tolist(), strict=True))
    total = sum(weights[each.name] * each.loss for each in weighed) + PENALTY * penalty
    total = total + WEIGHT * (weights["class/clean"] + weights["class/adv"]) * follower
    parameters = list(model.parameters())
    computed = torch.cat([each.grad.flatten() for each in parameters])
    assert torch.allclose(computed, gradient_of(total, parameters), rtol=1e-11, atol=1e-13)


def test_under_equal_weights_the_step_is_that_of_the_plain_sum():
    model = net()
    step = take_step(engine_for(model, Equal()), model)
    images, labels = batch(SEED)
    weighed, _ = model.objectives(images, labels, SIZE)
    follower, penalty = losses_of(model, images, SIZE)
    share = float(step.weights[0])
    total = share * (sum(each.loss for each in weighed) + 2 * WEIGHT * follower) + PENALTY * penalty
    parameters = list(model.parameters())
    computed = torch.cat([each.grad.flatten() for each in parameters])
    assert torch.allclose(computed, gradient_of(total, parameters), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_the_weighting_sees_neither_its_gradient_nor_its_loss(rule):
    images, labels = batch(SEED)
    steps = []
    for with_it in (False, True):
        model = net()
        found, taps = objectives(model, images, labels, SIZE)
        steps.append(engine_for(model, RULES[rule]()).step(found if with_it else found[:-1], taps))
    assert torch.equal(steps[0].weights, steps[1].weights)
    assert torch.equal(steps[0].losses, steps[1].losses)
    assert steps[0].followers == {}


@pytest.mark.parametrize(
    ("follows", "weight", "message"),
    [
        (("class/adv",), None, "needs a coefficient for their sum: give it a weight"),
        (("class/kl",), 1.0, "follows 'class/kl', which is no objective without a fixed weight"),
        (("penalty",), 1.0, "follows 'penalty', which is no objective without a fixed weight"),
    ],
)
def test_what_it_follows_has_a_weight(follows, weight, message):
    model = net()
    found, taps = objectives(model, *batch(SEED), SIZE)
    engine = engine_for(model, MGDA())

    def step():
        found[-1] = Objective("class/consistency", "class", found[-1].loss, weight=weight, follows=follows)
        engine.step(found, taps)

    with pytest.raises(ValueError, match=message):
        step()


@pytest.mark.parametrize("solve_every", [1, 2])
def test_a_loss_that_is_not_finite_is_named(solve_every):
    model = net()
    engine = engine_for(model, MGDA(), solve_every=solve_every)
    take_step(engine, model)
    found, taps = objectives(model, *batch(SEED), SIZE)
    found[-1] = Objective("class/consistency", "class", found[-1].loss * torch.nan, weight=0.0, follows=FOLLOWED)
    with pytest.raises(NonFiniteError, match="objective 'class/consistency' is not finite"):
        engine.step(found, taps)

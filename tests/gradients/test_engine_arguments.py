"""What the engine and its objectives refuse, or warn of, and what to write instead."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from gat_lightning.errors import SettingError
from gat_lightning.gradients import GradientEngine, Objective
from gat_lightning.weighting import MGDA, Equal, Fixed

LOSS = torch.zeros((), requires_grad=True)


@pytest.fixture
def net():
    torch.manual_seed(0)
    heads = nn.ModuleDict({"class": nn.Linear(5, 3), "macro": nn.Linear(5, 2)})
    return nn.ModuleDict({"trunk": nn.Sequential(nn.Linear(4, 5), nn.Tanh()), "heads": heads})


def decoders(net):
    return {task: head.parameters() for task, head in net["heads"].items()}


def engine_for(net, weighting=None, **settings):
    return GradientEngine(net["trunk"].parameters(), decoders(net), weighting or Equal(), **settings)


def objectives(net, views=("clean", "adv"), tasks=("class", "macro")):
    x = torch.linspace(-1, 1, 12).view(3, 4)
    found = []
    for view in views:
        features = net["trunk"](x)
        found += [
            Objective(f"{task}/{view}", task, cross_entropy(net["heads"][task](features), torch.tensor([0, 1, 0])))
            for task in tasks
        ]
    return found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("class", "class/adv", LOSS), "the name comes before the task, such as Objective.'class/adv', 'class', loss"),
        ((LOSS, "class/adv", "class"), r"Objective\(Tensor, str, str\): the arguments are the name, the task and the"),
        (("class/adv", LOSS, "class"), r"Objective\(str, Tensor, str\): .*such as Objective\('class/adv', 'class', l"),
        (("class/adv", "class", 0.5), "the name, the task and the loss, a tensor"),
        (("class/adv", "class", torch.zeros(8)), r"loss of objective 'class/adv' has the shape \[8\].*loss.mean"),
    ],
)
def test_an_objective_of_other_arguments_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Objective(*arguments)


def used(generator):
    next(generator)
    return generator


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            lambda net: [(one := net["trunk"].parameters()), {"class": one}],
            r"decoders\['class'\] is a generator that was",
        ),
        (lambda net: [used(net["trunk"].parameters()), decoders(net)], "shared is a generator that was used before"),
        (lambda net: [iter(()), net["heads"].parameters()], "decoders must be parameters by task, such as"),
        (
            lambda net: [net["trunk"], decoders(net)],
            r"shared must be parameters, such as module.parameters\(\), not a S",
        ),
        (lambda net: [[net["trunk"]], {}], "shared has a Sequential where it must have parameters"),
        (lambda net: [[], {"class": net["heads"]["class"]}], r"decoders\['class'\] must be parameters.*not a Linear"),
    ],
)
def test_what_are_no_parameters_is_refused(net, arguments, message):
    with pytest.raises(ValueError, match=message):
        GradientEngine(*arguments(net), Equal())


@pytest.mark.parametrize("weighting", [MGDA, "mgda", None])
def test_what_is_no_weighting_is_refused(net, weighting):
    with pytest.raises(ValueError, match=r"weighting must be an object, such as MGDA\(\), not"):
        GradientEngine(net["trunk"].parameters(), decoders(net), weighting)


@pytest.mark.parametrize("fault", ["no graph", "frozen"])
def test_objectives_that_train_nothing_are_refused(net, fault):
    engine = engine_for(net)
    net.requires_grad_(fault != "frozen")
    with torch.set_grad_enabled(fault != "no graph"):
        given = objectives(net)
    with pytest.raises(ValueError, match="No objective depends on a trainable parameter"):
        engine.step(given)


def test_an_engine_without_parameters_is_refused_in_its_first_step():
    with pytest.raises(ValueError, match="There are no parameters to train"):
        GradientEngine([], {"class": []}, Equal()).step([Objective("class/clean", "class", LOSS * 2)])


@pytest.mark.parametrize(
    ("weighting", "message"),
    [
        (MGDA(floor={"class/advv": 0.9}), "floor names 'class/advv', which is not an objective; the objectives are cl"),
        (
            MGDA(floor={"target": 0.9}, target="colour"),
            "floor.target needs an adversarial objective of the target task",
        ),
        (MGDA(min_weight=0.3), "min_weight=0.3: it must be at most 1/4"),
        (Fixed({"class/cleam": 2.0}), "weights names 'class/cleam', which is not an objective"),
    ],
)
def test_a_weighting_that_does_not_fit_the_objectives_is_refused_in_the_first_step(net, weighting, message):
    with pytest.raises(ValueError, match=message):
        engine_for(net, weighting).step(objectives(net))
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_floor_that_fits_is_kept(net):
    step = engine_for(net, MGDA(floor={"class/adv": 0.9})).step(objectives(net))
    assert step.weights[step.names.index("class/adv")] >= 0.9 - 1e-12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda found: [*found, Objective("colour/adv", "colour", LOSS * 2)],
            "task 'colour', which has no decoder in t",
        ),
        (lambda found: [*found, found[0]], "Several objectives are called 'class/clean'"),
        (lambda found: [], "at least one objective without a fixed weight"),
    ],
)
def test_objectives_that_do_not_fit_the_engine_are_refused(net, change, message):
    with pytest.raises(ValueError, match=message):
        engine_for(net).step(change(objectives(net)))


@pytest.mark.parametrize("task", [None, "class"])
def test_heads_that_the_engine_does_not_have_are_missed(net, task):
    engine = GradientEngine(net["trunk"].parameters(), {"class": net["heads"]["class"].parameters()}, Equal())
    foreign = [Objective(each.name, task, each.loss) for each in objectives(net)]
    with pytest.raises(ValueError, match=r"'macro/clean' depends on 2 trainable parameters.*of the shapes \[2, ?5?\]"):
        engine.step(foreign)
    net["heads"]["macro"].requires_grad_(False)
    engine.step([Objective(each.name, task, each.loss) for each in objectives(net)])


def test_an_objective_of_another_decoder_is_refused(net):
    wrong = [Objective(each.name, "class", each.loss) for each in objectives(net)]
    with pytest.raises(ValueError, match="'macro/clean' is of the task 'class', but depends on the decoder of macro"):
        engine_for(net).step(wrong)


def test_calls_in_another_order_are_refused(net):
    engine = engine_for(net)
    with pytest.raises(ValueError, match=r"call accumulate\(objectives\) .*, or step"):
        engine.finish()
    engine.accumulate(objectives(net))
    with pytest.raises(ValueError, match=r"after accumulate\(\) call finish\(\)"):
        engine.step(objectives(net))
    with pytest.raises(ValueError, match="same objectives in the same order: the first had class/clean, macro/clean"):
        engine.accumulate(objectives(net)[::-1])
    with pytest.raises(ValueError, match=r"finish\(\) ends a step"):  # what failed has left nothing behind
        engine.finish()
    engine.step(objectives(net))


@pytest.mark.parametrize("left_out", ["encoder", "decoder of 'macro'"])
def test_a_warning_names_what_the_optimizer_has_not_changed(net, left_out):
    modules = {"encoder": net["trunk"], "decoder of 'macro'": net["heads"]["macro"]}
    ignored = set(modules[left_out].parameters())
    optimizer = torch.optim.AdamW([each for each in net.parameters() if each not in ignored])
    engine = engine_for(net)
    engine.step(objectives(net))
    engine.step(objectives(net))  # the same step again is no step of an optimizer
    optimizer.step()
    with pytest.warns(UserWarning, match=f"has not changed the parameters of the {left_out}"):
        engine.step(objectives(net))
    optimizer.step()
    engine.step(objectives(net))  # it is said once


@pytest.mark.parametrize("settings", [{"foreach": True}, {"foreach": False}, {"fused": True}, {"lr": 0.0}])
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_an_optimizer_of_all_parameters_is_not_warned_of(net, optimizer, settings):
    chosen, engine = optimizer(net.parameters(), **{"lr": 0.1, **settings}), engine_for(net)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            engine.step(objectives(net))
            chosen.step()


def test_reentrant_checkpointing_is_refused(net):
    x = torch.linspace(-1, 1, 12).view(3, 4).requires_grad_()
    for reentrant in (True, False):
        features = checkpoint(net["trunk"], x, use_reentrant=reentrant)
        losses = [Objective("class/clean", "class", net["heads"]["class"](features).square().mean())]
        if reentrant:
            with pytest.raises(ValueError, match=r"checkpoint\(..., use_reentrant=False\)"):
                engine_for(net).step(losses)
        else:
            engine_for(net).step(losses)


def test_a_world_size_without_processes_is_refused(net):
    with pytest.raises(SettingError, match="world_size=2: it must be 1 without a process group"):
        engine_for(net, world_size=2).step(objectives(net))
    with pytest.raises(SettingError, match="world_size=0: it must be None or a whole number of at least 1"):
        engine_for(net, world_size=0)

"""Learning-rate schedules: the values of each step, in closed form, and the same ones after a resume."""

import io
import math
from functools import partial

import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader

from gat_lightning.config.files import find_conf
from gat_lightning.errors import SettingError
from gat_lightning.methods import Free, Standard
from gat_lightning.training.optimizers import Optimization
from gat_lightning.training.schedules import constant, cosine, cyclic, multistep, one_cycle
from support.trainers import quiet_trainer
from support.training_steps import toy_batch, toy_module

OPTIONS = sorted(find_conf().glob("schedule/*.yaml"))
WARMED = [cosine, constant, multistep, cyclic]


def optimizer(*rates):
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates or (0.1,)])


def go(optimizer, schedule, steps):
    """The rate of the first group in each of so many steps."""
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def rates(make, steps=20, **settings):
    chosen = optimizer()
    return go(chosen, make(chosen, steps, **settings), steps)


@pytest.mark.parametrize("final", [0.0, 0.01])
def test_cosine_is_that_of_torch_and_ends_at_the_last_step(final):
    chosen = optimizer()
    expected = go(chosen, CosineAnnealingLR(chosen, 49, eta_min=final), 50)
    found = rates(cosine, 50, final_lr=final)
    assert found == pytest.approx(expected, abs=1e-15)
    assert (found[0], found[-1]) == (0.1, pytest.approx(final, abs=1e-15))


FALLING = {"cosine": cosine, "cyclic": cyclic}


@pytest.mark.parametrize("make", FALLING.values(), ids=FALLING)
@given(st.integers(2, 200), st.floats(0, 0.99), st.floats(1e-4, 10))
def test_the_highest_rate_is_reached_once_and_the_last_step_has_the_final_one(make, steps, warmup, rate):
    chosen = optimizer(rate)
    found = go(chosen, make(chosen, steps, warmup=warmup), steps)
    assert found[-1] == pytest.approx(0, abs=1e-12)
    assert found.count(rate) == 1
    assert found.index(rate) == min(round(warmup * steps), steps - 2)


@pytest.mark.parametrize("make", [*WARMED, one_cycle])
@pytest.mark.parametrize("warmup", [0.0, 0.3, 0.5])
def test_a_run_of_one_step_has_the_rate_of_the_optimizer(make, warmup):
    assert rates(make, 1, warmup=warmup) == pytest.approx([0.1])


@pytest.mark.parametrize("steps", range(1, 7))
def test_the_first_step_is_before_every_milestone(steps):
    found = rates(multistep, steps, milestones=[0.05, 0.1, 0.5])
    assert found[0] == 0.1
    assert found[1:] == pytest.approx([1e-3 if step < round(0.5 * steps) else 1e-4 for step in range(1, steps)])


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_one_cycle_without_warm_up_begins_at_the_peak(steps):
    found = rates(one_cycle, steps, warmup=0)
    assert found[0] == pytest.approx(0.1)
    if steps > 1:
        assert found[-1] == pytest.approx(0.1 / 25 / 1e4)


def test_multistep_falls_at_its_milestones():
    assert rates(multistep) == pytest.approx([0.1] * 10 + [0.01] * 5 + [0.001] * 5)
    assert rates(multistep, milestones=[0.1, 0.2, 0.9], gamma=0.5) == pytest.approx(
        [0.1] * 2 + [0.05] * 2 + [0.025] * 14 + [0.0125] * 2
    )


def test_constant_is_the_rate_of_the_optimizer():
    assert rates(constant) == [0.1] * 20


def test_cyclic_is_a_triangle():
    assert rates(cyclic, 21) == pytest.approx([0.01 * min(step, 20 - step) for step in range(21)])
    assert rates(cyclic, warmup=0.25) == pytest.approx(
        [0.02 * step for step in range(5)] + [0.1 * (19 - step) / 14 for step in range(5, 20)]
    )


def test_one_cycle_goes_up_and_down_in_half_cosines():
    def between(one, other, part):
        return other + (one - other) * (1 + math.cos(math.pi * part)) / 2

    up = [between(0.1 / 25, 0.1, step / 5) for step in range(6)]
    down = [between(0.1, 0.1 / 25 / 1e4, step / 14) for step in range(1, 15)]
    assert rates(one_cycle) == pytest.approx(up + down)


@pytest.mark.parametrize("steps", [2, 3, 10, 40])
def test_one_cycle_may_warm_up_for_a_single_step_or_none(steps):
    assert rates(one_cycle, steps, warmup=1 / steps)[0] == pytest.approx(0.1 / 25)
    without = rates(one_cycle, steps, warmup=0)
    assert max(without) == without[0] > 0.04


@pytest.mark.parametrize("make", WARMED)
def test_a_warmup_rises_from_zero_and_then_the_schedule_follows(make):
    found = rates(make, 40, warmup=0.25)
    assert found[:10] == pytest.approx([0.1 * step / 10 for step in range(10)])
    if make is multistep:  # whose milestones are parts of the whole run
        assert found[10:] == pytest.approx(rates(multistep, 40)[10:])
    elif make is not cyclic:
        assert found[10:] == pytest.approx(rates(make, 30))


@given(st.sampled_from([*WARMED, one_cycle]), st.integers(1, 60), st.floats(0, 0.99), st.floats(1e-4, 10))
def test_rates_stay_between_zero_and_the_optimizers(make, steps, warmup, rate):
    chosen = optimizer(rate)
    found = go(chosen, make(chosen, steps, warmup=warmup), steps)
    assert all(0 <= value <= rate * (1 + 1e-9) for value in found)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)


@pytest.mark.parametrize("make", WARMED)
def test_groups_keep_their_proportions(make):
    chosen = optimizer(0.1, 0.3)
    schedule = make(chosen, 10, warmup=0.2)
    for _ in range(10):
        one, other = (group["lr"] for group in chosen.param_groups)
        assert other == pytest.approx(3 * one)
        chosen.step()
        schedule.step()


def test_the_final_rate_is_that_of_every_group():
    chosen = optimizer(0.1, 0.3)
    go(chosen, cosine(chosen, 10, final_lr=0.02), 10)
    assert [group["lr"] for group in chosen.param_groups] == pytest.approx([0.02, 0.02])


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("stop", [3, 17])
def test_a_resumed_schedule_goes_on_as_one_without_interruption(path, stop):
    make = instantiate(OmegaConf.load(path))
    whole = rates(make, 40)
    first = optimizer()
    schedule = make(first, 40)
    before = go(first, schedule, stop)
    saved = io.BytesIO()
    torch.save([first.state_dict(), schedule.state_dict()], saved)
    saved.seek(0)
    states = torch.load(saved, weights_only=True)
    second = optimizer()
    resumed = make(second, 40)
    second.load_state_dict(states[0])
    resumed.load_state_dict(states[1])
    assert before + go(second, resumed, 40 - stop) == whole


def test_every_schedule_has_an_option():
    assert {path.stem for path in OPTIONS} == {make.__name__ for make in (*WARMED, one_cycle)}


@pytest.mark.parametrize("warmup", [-0.1, 1.0])
@pytest.mark.parametrize("make", [*WARMED, one_cycle])
def test_an_impossible_warmup_is_refused(make, warmup):
    with pytest.raises(SettingError, match=r"warmup=.*: it must be a number of at least 0 and below 1"):
        make(optimizer(), 10, warmup=warmup)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"milestones": [0.75, 0.5]}, r"milestones=\[0.75, 0.5\]: it must be rising"),
        ({"milestones": [0.5, 0.5]}, "it must be rising"),
        ({"milestones": [0.0, 0.5]}, "each above 0 and below 1"),
        ({"milestones": [100, 150]}, "each above 0 and below 1"),
        ({"gamma": 0.0}, "gamma=0.0: it must be a number above 0 and at most 1"),
        ({"gamma": 2}, "above 0 and at most 1"),
    ],
)
def test_impossible_steps_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        multistep(optimizer(), 10, **settings)


def test_adamw_has_an_option():
    made = instantiate(OmegaConf.load(find_conf() / "optimizer" / "adamw.yaml"))([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(made, torch.optim.AdamW)
    assert (made.defaults["lr"], made.defaults["weight_decay"]) == (1e-3, 0.05)


@pytest.mark.parametrize(
    ("replays", "settings", "steps"),
    [(1, {"max_epochs": 2}, 8), (1, {"max_steps": 5}, 5), (3, {"max_epochs": 1}, 12), (1, {"max_steps": 1}, 1)],
)
@pytest.mark.parametrize(
    ("make", "first", "last"), [(cosine, 0.1, 0.0), (multistep, 0.1, 0.001), (one_cycle, 4e-3, 4e-7)]
)
def test_a_training_begins_at_the_first_rate_and_ends_at_the_last(make, first, last, replays, settings, steps):
    method = Standard() if replays == 1 else Free(eps=0.1, replays=replays)
    module = toy_module(method, "off", None, False)
    module.optimization = Optimization(partial(torch.optim.SGD, lr=0.1), make)
    found = []
    module.on_before_optimizer_step = lambda optimizer: found.append(optimizer.param_groups[0]["lr"])
    quiet_trainer(**settings).fit(module, DataLoader([toy_batch()] * 4, batch_size=None))
    assert len(found) == steps
    if steps == 1:
        assert found == pytest.approx([0.1])
    else:
        assert (found[0], found[-1]) == (pytest.approx(first), pytest.approx(last, abs=1e-12))

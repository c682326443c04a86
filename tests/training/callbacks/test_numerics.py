"""Flags of the process during a run: no fills under determinism, TF32 as configured, both as before afterwards."""

import pytest
import pytorch_lightning as pl
import torch

from gat_lightning.gradients.tf32 import tf32
from gat_lightning.methods import Madry
from gat_lightning.training.callbacks.numerics import Numerics
from support.training_runs import SHORT, trained
from support.training_steps import fit_one_step, toy_module

DETERMINISTIC = torch.utils.deterministic


def flags():
    fills = DETERMINISTIC.fill_uninitialized_memory
    return fills, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


class Seen(pl.Callback):
    def __init__(self, fails=False):
        self.flags, self.fails = [], fails

    def on_train_batch_end(self, *_):
        self.flags.append(flags())
        if self.fails:
            raise ZeroDivisionError


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_they_are_set_while_it_trains_and_put_back(allowed, before):
    seen, kept = Seen(), flags()
    with tf32(before):
        around = flags()
        fit_one_step(toy_module(Madry(), "off", None, False), callbacks=[Numerics(allowed), seen])
        assert flags() == around
    assert seen.flags == [(False, allowed, allowed)]
    assert flags() == kept
    assert kept[0]


def test_they_are_put_back_after_a_failure():
    seen, kept = Seen(fails=True), flags()
    with pytest.raises(ZeroDivisionError):
        fit_one_step(toy_module(Madry(), "off", None, False), callbacks=[Numerics(True), seen])
    assert seen.flags == [(False, True, True)]
    assert flags() == kept


@pytest.mark.usefixtures("undrawn")
def test_a_run_sets_them_and_says_so(tmp_path):
    kept = flags()
    watch = f"+callbacks.seen={{_target_: {__name__}.Noted}}"
    result = trained(tmp_path, *SHORT, "task=none", "curvature.mode=off", "engine.tf32=true", watch)
    assert Noted.flags == (False, True, True)
    assert Noted.deterministic
    assert result["engine"]["tf32"] is True
    assert flags() == kept


class Noted(pl.Callback):
    flags = deterministic = None

    def on_train_batch_end(self, *_):
        Noted.flags = flags()
        Noted.deterministic = torch.are_deterministic_algorithms_enabled()

"""TF32 is off, on or off in a block alone, and never on in the curvature's gradients."""

import pytest
import torch
from torch import nn

from gat_lightning.curvature import Curvature
from gat_lightning.gradients import Objective
from gat_lightning.gradients.tf32 import tf32
from gat_lightning.methods import Madry
from gat_lightning.models.encoding import full_precision
from gat_lightning.weighting import Equal
from support.training_steps import classifier, fit_one_step, toy_module

CUDNN, PRODUCTS = torch.backends.cudnn, torch.backends.cuda.matmul


def flags():
    return CUDNN.allow_tf32, PRODUCTS.allow_tf32


def everything():
    newer = (CUDNN.conv, CUDNN.rnn, PRODUCTS, torch.backends.mkldnn.matmul)
    return *flags(), torch.get_float32_matmul_precision(), *(each.fp32_precision for each in newer)


@pytest.fixture(autouse=True)
def _flags_as_torch_has_them():
    before = flags(), torch.get_float32_matmul_precision()
    yield
    torch.backends.fp32_precision = "none"
    CUDNN.allow_tf32, PRODUCTS.allow_tf32 = before[0]
    torch.set_float32_matmul_precision(before[1])


@pytest.mark.parametrize("before", [(True, False), (False, False), (True, True), (False, True)])
@pytest.mark.parametrize("allowed", [True, False])
def test_both_flags_are_set_in_the_block_and_put_back(before, allowed):
    CUDNN.allow_tf32, PRODUCTS.allow_tf32 = before
    kept = everything()
    with tf32(allowed):
        assert flags() == (allowed, allowed)
        assert [each == "tf32" for each in everything()[3:6]] == [allowed] * 3
        with tf32(not allowed):
            assert flags() == (not allowed, not allowed)
        assert flags() == (allowed, allowed)
    assert everything() == kept


def test_they_are_put_back_after_an_error():
    kept = everything()
    with pytest.raises(ZeroDivisionError), tf32(True), tf32(False):
        raise ZeroDivisionError
    assert everything() == kept


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_a_lower_precision_of_products_comes_back(precision):
    torch.set_float32_matmul_precision(precision)
    kept = everything()
    with tf32(False):
        assert torch.get_float32_matmul_precision() == "highest"
        assert flags() == (False, False)
    assert everything() == kept


@pytest.mark.parametrize("where", ["convolutions", "all"])
def test_flags_of_the_newer_interface_are_overruled_and_put_back(where):
    if where == "all":
        torch.backends.fp32_precision = "tf32"
    else:
        CUDNN.conv.fp32_precision, CUDNN.rnn.fp32_precision, PRODUCTS.fp32_precision = "tf32", "ieee", "tf32"
    newer = (CUDNN.conv, CUDNN.rnn, PRODUCTS)
    before = [each.fp32_precision for each in newer]
    assert "tf32" in before
    with tf32(False):
        assert "tf32" not in [each.fp32_precision for each in newer]
    assert [each.fp32_precision for each in newer] == before


def test_full_precision_is_without_tf32():
    with tf32(True), full_precision(torch.device("cpu")):
        assert flags() == (False, False)


class Watched(nn.Module):
    """Notes the flags whenever its output is computed or a gradient comes back through it."""

    def __init__(self, module):
        super().__init__()
        self.module, self.seen = module, []

    def forward(self, x):
        output = self.module(x)
        self.seen.append(("forward", flags()))
        if output.requires_grad:
            output.register_hook(lambda _: self.seen.append(("backward", flags())))
        return output


def seen_in_a_step(curvature):
    net = classifier()
    net[0] = Watched(net[0])
    module = toy_module(Madry("separate"), curvature, None, True, Equal(), net=net)
    watched = next(part for part in module.modules() if isinstance(part, Watched))
    watched.seen.clear()
    with tf32(True):
        fit_one_step(module)
    return watched.seen


@pytest.mark.parametrize("derivative", ["exact", "finite_difference"])
@pytest.mark.parametrize("mode", ["objective", "penalty"])
def test_the_curvature_and_its_backward_are_without_tf32(mode, derivative):
    seen = seen_in_a_step(Curvature(mode, derivative))
    first = next(position for position, (what, on) in enumerate(seen) if on == (False, False))
    last = max(position for position, (what, on) in enumerate(seen) if what == "backward")
    assert ("backward", (True, True)) in seen[:first]  # of the attack
    assert ("backward", (True, True)) not in seen[first:]
    assert seen[last] == ("backward", (False, False))


def test_without_curvature_the_passes_of_a_step_use_tf32():
    assert {on for _, on in seen_in_a_step(Curvature("off"))} == {(True, True)}


def test_the_weighting_sees_a_gramian_without_tf32():
    class Watching(Equal):
        def __call__(self, gramian, losses=None, names=None):
            self.seen = flags()
            return super().__call__(gramian, losses, names)

    weighting = Watching()
    module = toy_module(Madry("separate"), "off", None, True, weighting)
    with tf32(True):
        fit_one_step(module)
    assert weighting.seen == (False, False)


def test_objectives_are_not_ieee_unless_they_say_so():
    assert not Objective("a/clean", "a", torch.zeros(())).ieee

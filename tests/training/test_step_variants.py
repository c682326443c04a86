"""Other ways to compute a step: in parts, in another space, layout or precision."""

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.utils.checkpoint import checkpoint

from gat_lightning.batch import Batch
from gat_lightning.commands.train.faults import explained_faults
from gat_lightning.curvature.terms import Curvature
from gat_lightning.errors import UserError
from gat_lightning.methods import Madry, Standard, WeightPerturbation
from gat_lightning.tasks.views import Views
from gat_lightning.weighting import MGDA, Equal
from support.trainers import quiet_trainer
from support.training_steps import (
    LR,
    classifier,
    fit_one_step,
    gradients_after,
    largest_difference,
    normalised,
    toy_batch,
    toy_module,
)

DIFFERENCE = {"derivative": "finite_difference", "step": 1e-4}


@pytest.mark.parametrize(
    ("space", "curvature", "separate", "weighting"),
    [
        ("parameters", Curvature("objective"), True, MGDA()),
        ("parameters", Curvature("objective", **DIFFERENCE), True, MGDA()),
        ("parameters", Curvature("penalty"), False, MGDA(normalize="l2")),
        ("representation", Curvature("off"), True, MGDA()),
        ("representation", Curvature("penalty"), False, MGDA()),
        ("representation", Curvature("penalty", **DIFFERENCE), True, Equal()),
    ],
)
def test_micro_batches_of_8_equal_one_batch_of_64(space, curvature, separate, weighting):
    whole, parts = (
        gradients_after(
            toy_module(Madry("separate"), curvature, None, separate, weighting, space, micro_batch=micro_batch),
            toy_batch(64),
        )
        for micro_batch in (None, 8)
    )
    assert largest_difference(whole, parts) < 1e-10


@pytest.mark.parametrize(
    ("total", "size", "expected"), [(9, 8, [4, 5]), (64, 8, [8] * 8), (10, 4, [3, 3, 4]), (3, 1, [1] * 3), (5, 9, [5])]
)
def test_micro_batches_are_of_nearly_equal_size_and_the_whole_batch_in_order(total, size, expected):
    batch = toy_batch(total)
    parts = list(Views(batch.images, batch.labels, shard=batch.shard).parts(size))
    assert [len(part.images) for part in parts] == expected
    assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
    assert torch.equal(torch.cat([part.labels["class"] for part in parts]), batch.labels["class"])
    ends = [part.shard.offset + part.shard.size for part in parts]
    assert [part.shard.offset for part in parts] == [0, *ends[:-1]]


def test_no_micro_batch_is_a_single_image_that_batchnorm_refuses():
    """9 images in parts of at most 8, with 1x1 maps."""
    net = nn.Sequential(nn.Conv2d(1, 3, 4), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 4)).double()
    module = toy_module(Madry(), "off", None, False, net=net, micro_batch=8)
    fit_one_step(module, toy_batch(9))
    (norm,) = (part for part in module.model.modules() if isinstance(part, nn.BatchNorm2d))
    assert norm.num_batches_tracked == 2 * 2


def test_micro_batches_leave_the_running_statistics_as_one_pass_over_each_part_would():
    """In representation space the encoder runs again in the backward, which BatchNorm must not count."""
    statistics = []
    for space in ("parameters", "representation"):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4)).double()
        module = toy_module(Madry(), "off", None, False, space=space, net=net, micro_batch=4)
        fit_one_step(module, toy_batch(8))
        (norm,) = (part for part in module.model.modules() if isinstance(part, nn.BatchNorm2d))
        assert norm.num_batches_tracked == 2 * 2
        statistics.append(torch.cat([norm.running_mean, norm.running_var]))
    assert torch.equal(*statistics)


def test_displaced_passes_leave_the_running_statistics_alone():
    statistics = []
    for curvature in (Curvature("off"), Curvature("objective", **DIFFERENCE)):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4)).double()
        module = toy_module(Madry(), curvature, None, False, net=net)
        fit_one_step(module)
        (norm,) = (part for part in module.model.modules() if isinstance(part, nn.BatchNorm2d))
        statistics.append(torch.cat([norm.running_mean, norm.running_var, norm.num_batches_tracked[None]]))
    assert torch.equal(*statistics)


@pytest.mark.parametrize("mode", ["objective", "penalty"])
def test_a_step_by_differences_is_near_the_exact_one(mode):
    settings = {"derivative": "finite_difference", "step": 1e-4, "scheme": "central"}
    exact = gradients_after(toy_module(Madry("separate"), Curvature(mode), None, True, Equal()))
    differences = gradients_after(toy_module(Madry("separate"), Curvature(mode, **settings), None, True, Equal()))
    assert 0 < largest_difference(exact, differences) < 1e-6


def with_dropout():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Softplus(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(12, 4))
    return net.double()


def test_what_the_model_draws_follows_from_the_step_and_the_process():
    batch = toy_batch(6)

    def drawn(batch, step):
        module = toy_module(Madry(), "off", None, False)
        module.trainer = quiet_trainer()
        module.on_train_batch_start(batch, step)
        return torch.rand(4).tolist()

    keys = [(batch, 0), (batch, 1), (batch[0:3], 0), (batch[3:6], 0)]
    found = [drawn(*key) for key in keys]
    assert found == [drawn(*key) for key in keys]
    assert found[2] == found[0]  # the first process
    assert len({tuple(each) for each in found}) == 3


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_displaced_passes_have_the_masks_of_the_clean_one(micro_batch):
    """With masks of their own the difference would be noise, which grows as the step shrinks."""
    settings = {"derivative": "finite_difference", "step": 1e-4, "scheme": "central"}
    exact, differences = (
        gradients_after(
            toy_module(Madry("separate"), curvature, None, False, Equal(), net=with_dropout(), micro_batch=micro_batch)
        )
        for curvature in (Curvature("objective"), Curvature("objective", **settings))
    )
    assert 0 < largest_difference(exact, differences) < 1e-6


def test_displaced_passes_of_separate_views_have_the_masks_of_the_clean_ones():
    first, second = (
        gradients_after(
            toy_module(
                Madry("separate"),
                Curvature("objective", derivative="finite_difference", step=step, scheme="central"),
                None,
                True,
                Equal(),
                net=with_dropout(),
            )
        )
        for step in (1e-4, 1e-3)
    )
    assert 0 < largest_difference(first, second) < 1e-5


def test_channels_last_gives_the_same_step():
    plain, last = (
        gradients_after(toy_module(Madry("separate"), "objective", None, True, channels_last=channels_last))
        for channels_last in (False, True)
    )
    assert largest_difference(plain, last) < 1e-12


def single_precision(batch):
    return Batch(batch.images.float(), batch.labels, batch.index, batch.shard)


@pytest.mark.parametrize("space", ["parameters", "representation"])
@pytest.mark.parametrize("curvature", ["off", "penalty"])
def test_bf16_is_near_full_precision_and_leaves_the_gradients_in_float32(space, curvature):
    found = []
    for precision in ("32-true", "bf16-mixed"):
        module = toy_module(Madry("separate"), curvature, None, False, Equal(), space).float()
        found.append(gradients_after(module, single_precision(toy_batch(32)), precision=precision))
        assert all(parameter.grad.dtype == torch.float32 for parameter in module.model.parameters())
        assert module.last_step.gramian.dtype == torch.float64
    full, mixed = (torch.cat([piece.flatten() for piece in gradients.values()]) for gradients in found)
    assert 0 < (full - mixed).norm() / full.norm() < 0.05


@pytest.mark.parametrize("derivative", ["exact", "finite_difference"])
def test_under_autocast_the_curvature_is_taken_of_a_pass_in_full_precision_that_leaves_no_trace(derivative):
    found = {}
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(1)
        module = toy_module(Madry("separate"), Curvature(derivative=derivative), None, False, net=normalised()).float()
        fit_one_step(module, single_precision(toy_batch(16)), precision=precision)
        counted = [int(value) for name, value in module.model.named_buffers() if name.endswith("tracked")]
        assert counted == [2, 2]
        found[precision] = dict(zip(module.last_step.names, module.last_step.losses.tolist(), strict=True))
    full, mixed = found["32-true"], found["bf16-mixed"]
    for name, value in full.items():
        if name.endswith("curvature"):
            assert mixed[name] == pytest.approx(value, rel=1e-5)
        else:
            assert mixed[name] == pytest.approx(value, rel=0.02)
            assert mixed[name] != value


@pytest.mark.parametrize("derivative", ["exact", "finite_difference"])
def test_adversarial_weights_cost_no_pass_in_full_precision(derivative):
    types = {}
    for gamma in (None, 0.01):
        curvature, awp = Curvature(derivative=derivative), WeightPerturbation(gamma)
        module = toy_module(Madry("separate"), curvature, None, False, weight_perturbation=awp).float()
        seen = types.setdefault(gamma, [])
        convolution = next(part for part in module.model.modules() if isinstance(part, nn.Conv2d))
        convolution.register_forward_hook(lambda *given, seen=seen: seen.append(given[-1].dtype))
        fit_one_step(module, single_precision(toy_batch(16)), precision="bf16-mixed")
    assert types[0.01].count(torch.float32) == types[None].count(torch.float32) > 0
    assert types[0.01].count(torch.bfloat16) == types[None].count(torch.bfloat16) + 2  # the clean and adversarial ones


def test_a_missing_second_derivative_is_a_message_with_the_remedy(tmp_path):
    """The very error of torch, explained as a command does."""
    x = torch.rand(3, requires_grad=True)
    (gradient,) = torch.autograd.grad(nn.functional.hardsigmoid(x).sum(), x, create_graph=True)
    config = OmegaConf.create({"paths": {"run": str(tmp_path)}})
    remedy = r"curvature\.derivative=finite_difference or curvature\.mode=off"
    with pytest.raises(UserError, match=remedy), explained_faults(config, quiet_trainer()):
        gradient.sum().backward()


def test_an_encoder_without_second_derivative_needs_finite_differences():
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Hardsigmoid(), nn.Flatten(), nn.Linear(12, 4)).double()
    with pytest.raises(RuntimeError, match=r"derivative for aten::hardsigmoid_backward is not implemented"):
        fit_one_step(toy_module(Madry("separate"), Curvature("objective"), None, True, net=net))
    fit_one_step(toy_module(Madry("separate"), Curvature("objective", **DIFFERENCE), None, True, net=net))


class Checkpointed(nn.Sequential):
    """Computes its activations again in the backward of a training, with or without reentry."""

    reentrant = True

    def forward(self, x):
        return checkpoint(super().forward, x, use_reentrant=self.reentrant) if self.training else super().forward(x)


def with_hidden(kind):
    torch.manual_seed(0)
    hidden = kind(nn.Flatten(), nn.Linear(12, 6), nn.Tanh())
    return nn.Sequential(nn.Conv2d(1, 3, 3), hidden, nn.Linear(6, 4)).double()


@pytest.mark.parametrize("curvature", ["off", "objective"])
@pytest.mark.parametrize("method", [Standard(), Madry("combined")], ids=["standard", "madry"])
def test_reentrant_checkpointing_is_refused_with_the_remedy_before_the_first_step(method, curvature, tmp_path):
    module = toy_module(method, curvature, None, False, net=with_hidden(Checkpointed))
    before = [parameter.detach().clone() for parameter in module.model.parameters()]
    config = OmegaConf.create({"paths": {"run": str(tmp_path)}})
    with pytest.raises(UserError, match="use_reentrant=False"), explained_faults(config, quiet_trainer()):
        fit_one_step(module)
    assert all(map(torch.equal, before, module.model.parameters()))


def test_checkpointing_without_reentry_changes_nothing(monkeypatch):
    monkeypatch.setattr(Checkpointed, "reentrant", False)
    plain, again = (
        gradients_after(toy_module(Standard(), "off", None, False, net=with_hidden(kind)))
        for kind in (nn.Sequential, Checkpointed)
    )
    assert largest_difference(plain, again) < 1e-12


@pytest.mark.parametrize("space", ["parameters", "representation"])
def test_a_frozen_encoder_is_a_linear_probe(space):
    """The decoders' gradients are those of the same step with a trainable encoder; the encoder stays as it is."""

    def step(trainable):
        net = classifier()
        net[:-1].requires_grad_(trainable)
        module = toy_module(Madry("combined"), "off", None, False, net=net, space=space)
        before = [parameter.detach().clone() for parameter in module.model.encoder.parameters()]
        fit_one_step(module)
        kept = all(map(torch.equal, before, module.model.encoder.parameters()))
        return {name: parameter.grad for name, parameter in module.model.decoders.named_parameters()}, kept

    (free, moved), (frozen, kept) = step(True), step(False)
    assert kept
    assert not moved
    assert largest_difference(free, frozen) < 1e-12


def test_a_weight_tied_between_encoder_and_last_layer_gets_one_step_and_stays_tied():
    def tied():
        net = nn.Sequential(nn.Conv2d(1, 4, 4), nn.Flatten(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)).double()
        net[4].weight = net[2].weight
        return net

    torch.manual_seed(0)
    module = toy_module(Standard(), "off", None, False, weighting=Equal(), net=tied())
    before = module.model.encoder.trunk[2].weight.detach().clone()
    fit_one_step(module)
    weight = module.model.encoder.trunk[2].weight
    assert weight is module.model.decoders["class"].head.weight
    assert torch.allclose(weight, before - LR * (weight.grad + 0.01 * before), rtol=0, atol=1e-12)
    single = module.model.single_task()
    assert single[4].weight is single[2].weight
    assert torch.equal(single[2].weight, weight)

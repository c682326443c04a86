"""The objective TARGET/consistency: its images, value, gradient, weight and ramp, in float64 by plain autograd."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, kl_div
from torch.utils.data import DataLoader

from gat_lightning.attacks import FGSM, PGD
from gat_lightning.batch import Batch
from gat_lightning.curvature import Curvature
from gat_lightning.errors import SettingError
from gat_lightning.methods import Adversarial, Consistency, Free, Madry, Standard, WeightPerturbation
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import Regression
from gat_lightning.tasks.binary import BinaryClassification
from gat_lightning.tasks.views import prepare_views
from gat_lightning.weighting import FAMO, MGDA, Equal, Fixed, UPGrad
from support.methods import ATTACKED
from support.trainers import quiet_trainer
from support.training_steps import (
    EPS,
    NAMES,
    SEED,
    SIZE,
    STEPS,
    Reference,
    fit_one_step,
    gradients_after,
    largest_difference,
    toy_batch,
    toy_module,
)

MISSING = (1, 4, 5)
FOLLOWER = "class/consistency"


def batch_of(size=SIZE, missing=MISSING):
    batch = toy_batch(size)
    batch.labels["class"][list(missing)] = -1
    return batch


def module_for(method, weighting=None, **settings):
    return toy_module(method, Curvature("off"), None, True, weighting or Equal(), **settings)


def reference_for(module):
    """Algorithm 2 on the batch, where the labels of the target are missing."""
    reference = Reference(module, True)
    reference.labels = reference.labels | {"class": batch_of().labels["class"]}
    return reference


def divergence(reference, images, detached=False):
    """KL(f(x) || f(x')) of each image, by torch's own function."""
    before, after = (reference.heads["class"](reference.trunk(each)) for each in (reference.x, images))
    p = before.detach() if detached else before
    return kl_div(after.log_softmax(1), p.log_softmax(1), reduction="none", log_target=True).sum(1)


def ascended(reference, step_size=EPS / 4):
    """x̂: of images without a label from a Gaussian start along the divergence, of others from x along the loss."""
    x, unlabelled = reference.x, reference.labels["class"] < 0
    noise = 0.001 * BatchGenerator(Shard.whole(SIZE), SEED, 0, 0, "attack").normal(x.shape[1:]).to(x)
    images = torch.where(unlabelled[:, None, None, None], (x + noise).clamp(0, 1), x)
    for _ in range(STEPS):
        images = images.detach().requires_grad_()
        loss = torch.where(unlabelled, divergence(reference, images, True), reference.loss(images, "class"))
        moved = images.detach() + step_size * torch.autograd.grad(loss.sum(), images)[0].sign() - x
        images = (x + moved.clamp(-EPS, EPS)).clamp(0, 1)
    return images.detach()


@pytest.mark.parametrize("weighting", [Equal, MGDA, lambda: Fixed({"class/adv": 2.0}, default=0.5), FAMO])
@pytest.mark.parametrize(("images", "detach"), [("missing", False), ("missing", True), ("all", False)])
def test_the_step_is_that_of_the_objectives_and_the_divergence(weighting, images, detach):
    rule = weighting()
    module = module_for(Consistency(Madry("separate"), 3.0, 0.0, detach, images), rule)
    reference = reference_for(module)
    fit_one_step(module, batch_of())
    adversarial = ascended(reference)
    each = divergence(reference, adversarial, detach)
    expected = each.mean() if images == "all" else each[list(MISSING)].mean()
    step = module.last_step
    weights = dict(zip(step.names, step.weights.tolist(), strict=True))
    assert FOLLOWER not in weights
    value, coefficient = step.followers[FOLLOWER]
    assert value == pytest.approx(expected.item(), abs=1e-12)
    assert coefficient == pytest.approx(3 * weights["class/adv"], rel=1e-12)

    losses = {f"{task}/{view}": reference.mean(seen, task) for task in NAMES for view, seen in
              (("clean", reference.x), ("adv", adversarial))}  # fmt: skip
    total = sum(weights[name] * loss for name, loss in losses.items()) + coefficient * expected
    of_decoders = sum(losses.values()) + 3 * expected if rule.adaptive else total
    own = {"": list(reference.trunk.parameters()), **{t: list(reference.heads[t].parameters()) for t in NAMES}}
    for task, parameters in own.items():
        found = module.model.decoder_parameters(task) if task else module.model.shared_parameters()
        gradients = torch.autograd.grad(of_decoders if task else total, parameters, retain_graph=True)
        for computed, gradient in zip(found, gradients, strict=True):
            torch.testing.assert_close(computed.grad, gradient, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ATTACKED)
@pytest.mark.parametrize(
    ("weighting", "settings"),
    [(UPGrad, {}), (FAMO, {}), (UPGrad, {"space": "representation"}), (Equal, {"solve_every": 2})],
    ids=["upgrad", "famo", "representation", "between"],
)
def test_micro_batches_equal_the_whole_batch_with_every_method(name, weighting, settings):
    def after(**parts):
        module = module_for(Consistency(ATTACKED[name](), ramp=0.0), weighting(), **settings, **parts)
        gradients = gradients_after(module, batch_of(20, (0, 3, 4, 11, 19)))
        (follower,) = module.last_step.followers.values()
        return gradients, follower

    (whole, (value, coefficient)), (parts, follower) = after(), after(micro_batch=3)
    assert value > 1e-6
    assert coefficient > 0
    assert follower == pytest.approx((value, coefficient), rel=1e-9)
    assert largest_difference(whole, parts) < 1e-9


@pytest.mark.parametrize("name", ATTACKED)
def test_a_coefficient_of_0_leaves_the_gradients_of_the_labelled_images(name):
    """All images are labelled: neither their adversarial images nor the gradients change."""
    alone, beside = (gradients_after(module_for(method, MGDA()), toy_batch()) for method in
                     (ATTACKED[name](), Consistency(ATTACKED[name](), 0.0)))  # fmt: skip
    assert largest_difference(alone, beside) < 1e-12


@pytest.mark.parametrize("attack", [PGD(eps=EPS, steps=20), PGD(eps=0.5, norm="L2", steps=20), FGSM(eps=EPS)])
def test_adversarial_images_change_the_outputs_more_than_random_ones(attack):
    module = module_for(Consistency(Madry()))
    reference = reference_for(module)
    batch = batch_of()
    views = prepare_views(batch, module.tasks, partial(BatchGenerator, batch.shard, SEED, 0, 0), True)
    problem = module.method.problem(module.model, views, module.tasks, module.tasks[:1])
    images = attack(problem, views.images, BatchGenerator(batch.shard, 1))
    rows = list(MISSING)
    found = divergence(reference, images)[rows]
    for draw in range(50):
        noise = attack.norm.uniform(reference.x, attack.eps, BatchGenerator(batch.shard, 2, draw))
        assert (found > divergence(reference, (reference.x + noise).clamp(0, 1))[rows]).all()


@pytest.mark.parametrize(
    ("name", "missing", "training", "expected"),
    [
        ("madry", MISSING, False, len(MISSING)),
        ("madry", (), False, 0),
        ("madry", MISSING, True, SIZE),  # their statistics are those of the batch
        ("trades", MISSING, False, SIZE),  # which compares all images
        ("trades", (), False, SIZE),
    ],
)
def test_the_attack_looks_at_the_clean_images_that_are_compared_and_once(
    monkeypatch, name, missing, training, expected
):
    module = module_for(Consistency(ATTACKED[name]()))
    batch = batch_of(missing=missing)
    views = prepare_views(batch, module.tasks, partial(BatchGenerator, batch.shard, SEED, 0, 0), True)
    encode, seen = module.model.encode, []
    monkeypatch.setattr(module.model, "encode", lambda images: seen.append(len(images)) or encode(images))
    problem = module.method.problem(module.model, views, module.tasks, module.tasks[:1])
    module.model.train(training)
    for _ in range(2):
        problem.loss(views.images)
    assert sum(seen) == expected + 2 * SIZE


def test_trades_does_not_count_labelled_images_twice():
    found = {}
    for name in ("trades", "madry"):
        for images in ("missing", "all"):
            module = module_for(Consistency(ATTACKED[name](), images=images))
            fit_one_step(module, batch_of())
            found[name, images] = module.last_step.followers[FOLLOWER][0]
    assert found["trades", "all"] == found["trades", "missing"]
    assert found["madry", "all"] != found["madry", "missing"]


@pytest.mark.parametrize(("ramp", "expected"), [(0.5, [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]), (0, [1] * 8)])
@pytest.mark.parametrize("name", ["madry", "free"])
def test_the_coefficient_rises_with_the_steps(ramp, expected, name):
    replays = 4 if name == "free" else 1
    method = Free(EPS, replays=4) if name == "free" else Madry()
    module = module_for(Consistency(method, 3.0, ramp), Fixed({}, default=1.0))
    record = Coefficients(module)
    trainer = quiet_trainer(max_epochs=1, callbacks=[record])
    trainer.fit(module, DataLoader([batch_of()] * (8 // replays), batch_size=None))
    assert trainer.global_step == 8
    assert record.found == pytest.approx([3 * each for each in expected])


class Coefficients(pl.Callback):
    """Those of every step, by the engine."""

    def __init__(self, module):
        self.found, finish = [], module.engine.finish

        def recording():
            step = finish()
            self.found.append(step.followers[FOLLOWER][1])
            return step

        module.engine.finish = recording


def test_weights_are_perturbed_against_it_too():
    awp = WeightPerturbation(0.05)
    apart = [
        gradients_after(
            module_for(Consistency(Madry(), coefficient, 0.0), Equal(), weight_perturbation=awp), batch_of()
        )
        for coefficient in (0.0, 3.0)
    ]
    module = module_for(Consistency(Madry(), 3.0, 0.0), Equal())
    plain = gradients_after(module, batch_of())
    assert largest_difference(apart[1], plain) > 1e-4
    assert largest_difference(apart[1], apart[0]) > 1e-4


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (BinaryClassification("x"), lambda z, y: binary_cross_entropy_with_logits(y, z.sigmoid(), reduction="none")
         - binary_cross_entropy_with_logits(z, z.sigmoid(), reduction="none")),
        (Regression("x"), lambda z, y: (z - y).abs()),
    ],
)  # fmt: skip
def test_binary_targets_and_numbers(task, expected):
    generator = torch.Generator().manual_seed(0)
    before, after = torch.randn(2, 9, 1, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(task.divergence(before, after), expected(before, after).squeeze(1))


def test_images_that_a_teacher_labelled_are_attacked_like_labelled_ones_and_take_part():
    """Consistency is of the images without a label of their own."""
    labelled = toy_batch()
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[list(MISSING)] = True
    taught = Batch(labelled.images, labelled.labels, labelled.index, labelled.shard, unlabelled=mask)
    module = module_for(Consistency(Adversarial(), ramp=0.0), micro_batch=4)
    reference = Reference(module, True)
    fit_one_step(module, taught)
    expected = divergence(reference, reference.pgd())[mask].mean()
    assert module.last_step.followers[FOLLOWER][0] == pytest.approx(expected.item(), abs=1e-12)


def test_methods_without_adversarial_images_are_refused():
    with pytest.raises(ValueError, match="Standard makes no adversarial images"):
        Consistency(Standard())


@pytest.mark.parametrize("settings", [{"coefficient": -1}, {"ramp": 1.5}, {"ramp": -0.1}, {"images": "some"}], ids=str)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SettingError):
        Consistency(Madry(), **settings)

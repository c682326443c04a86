"""One whole step of every method against its paper's formula, written here with plain autograd, in float64."""

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div

from gat_lightning.curvature.terms import Curvature
from gat_lightning.methods import Adversarial, Fast, FGSMTraining, Free, Friendly, Madry, Mart, SelfSupervised, Trades
from gat_lightning.methods.weight_perturbation import WeightPerturbation
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.weighting import MGDA, Equal
from support.training_steps import EPS, LR, NAMES, SEED, SIZE, STEPS, Reference, fit_one_step, toy_module

GENERATOR = (Shard.whole(SIZE), SEED, 0, 0, "attack")
DECAY = 0.01


def module_for(method, **settings):
    weighting = settings.pop("weighting", Equal())
    return toy_module(method, Curvature("off"), None, settings.pop("separate", False), weighting, **settings)


def gradients_of(module):
    parameters = [*module.model.encoder.parameters()]
    for task in NAMES:
        parameters += module.model.decoder_parameters(task)
    return torch.cat([parameter.grad.flatten() for parameter in parameters])


def parameters_of(reference):
    return [*reference.trunk.parameters(), *(p for task in NAMES for p in reference.heads[task].parameters())]


def by_hand(reference, loss):
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters_of(reference))])


def ascend(x, start, steps, step_size, loss):
    for _ in range(steps):
        start = start.detach().requires_grad_()
        gradient = torch.autograd.grad(loss(start), start)[0]
        start = (x + (start.detach() + step_size * gradient.sign() - x).clamp(-EPS, EPS)).clamp(0, 1)
    return start.detach()


def target_loss(reference):
    return lambda images: reference.loss(images, "class").sum()


def uniform_start(x):
    return (x + EPS * (2 * BatchGenerator(*GENERATOR).uniform(x.shape[1:]).to(x) - 1)).clamp(0, 1)


def logits(reference, images, task):
    return reference.heads[task](reference.trunk(images))


def test_fgsm_trains_on_the_mean_of_clean_and_one_step_losses():
    module = module_for(FGSMTraining(eps=EPS))
    reference = Reference(module, False)
    fit_one_step(module)
    adversarial = ascend(reference.x, reference.x, 1, EPS, target_loss(reference))
    total = sum((reference.mean(reference.x, task) + reference.mean(adversarial, task)) / 2 for task in NAMES)
    torch.testing.assert_close(gradients_of(module), by_hand(reference, total), rtol=0, atol=1e-10)
    assert module.last_step.names == ["class/clean+adv", "macro/clean+adv", "rotation/clean+adv"]


def test_fast_makes_one_step_of_125_percent_from_a_uniform_start():
    module = module_for(Fast(EPS, guard=False))
    reference = Reference(module, False)
    fit_one_step(module)
    adversarial = ascend(reference.x, uniform_start(reference.x), 1, 1.25 * EPS, target_loss(reference))
    total = sum(reference.mean(adversarial, task) for task in NAMES)
    torch.testing.assert_close(gradients_of(module), by_hand(reference, total), rtol=0, atol=1e-10)


def divergence(reference, clean, adversarial, task, weight=1.0):
    """Mean of KL(p(clean) || p(adversarial)) over the samples with a label, by torch's own function."""
    p, q = logits(reference, clean, task).softmax(1), logits(reference, adversarial, task).softmax(1)
    each = kl_div(q.log(), p, reduction="none").sum(1) * weight
    known = reference.labels[task] >= 0
    return each[known].sum() / known.sum()


def trades_images(reference):
    noise = 0.001 * BatchGenerator(*GENERATOR).normal(reference.x.shape[1:]).to(reference.x)
    start = (reference.x + noise.clamp(-EPS, EPS)).clamp(0, 1)
    p = logits(reference, reference.x, "class").softmax(1).detach()
    return ascend(
        reference.x,
        start,
        STEPS,
        EPS / 4,
        lambda images: kl_div(logits(reference, images, "class").log_softmax(1), p, reduction="sum"),
    )


@pytest.mark.parametrize("pairing", ["combined", "separate"])
def test_trades_is_the_clean_loss_and_beta_times_the_divergence(pairing):
    module = module_for(Trades(eps=EPS, beta=6.0, steps=STEPS, pairing=pairing))
    reference = Reference(module, False)
    fit_one_step(module)
    adversarial = trades_images(reference)
    clean = [reference.mean(reference.x, task) for task in NAMES]
    kl = [6 * divergence(reference, reference.x, adversarial, task) for task in NAMES]
    torch.testing.assert_close(gradients_of(module), by_hand(reference, sum(clean) + sum(kl)), rtol=0, atol=1e-10)
    pairs = [(a, b) for a, b in zip(clean, kl, strict=True)]
    losses = [a + b for a, b in pairs] if pairing == "combined" else [each for pair in pairs for each in pair]
    torch.testing.assert_close(module.last_step.losses, torch.stack(losses).detach(), rtol=0, atol=1e-10)
    views = ["clean+kl"] if pairing == "combined" else ["clean", "kl"]
    assert module.last_step.names == [f"{task}/{view}" for task in NAMES for view in views]


def test_mart_boosts_the_loss_and_weighs_the_divergence_by_the_doubt_about_the_clean_image():
    module = module_for(Mart(eps=EPS, coefficient=5.0, steps=STEPS))
    reference = Reference(module, False)
    fit_one_step(module)
    x = reference.x
    adversarial = ascend(x, uniform_start(x), STEPS, EPS / 4, target_loss(reference))
    total = 0
    for task in NAMES:
        label = reference.labels[task]
        known = (label >= 0).nonzero().flatten()
        q = logits(reference, adversarial, task).softmax(1)
        p = logits(reference, x, task).softmax(1)
        for i in known.tolist():
            y = int(label[i])
            others = [k for k in range(q.shape[1]) if k != y]
            boosted = -q[i, y].log() - (1 - q[i, others].max()).log()
            kl = (p[i] * (p[i] / q[i]).log()).sum()
            total = total + (boosted + 5 * (1 - p[i, y]) * kl) / len(known)
    torch.testing.assert_close(gradients_of(module), by_hand(reference, total), rtol=0, atol=1e-10)
    assert module.last_step.names == ["class/bce+kl", "macro/bce+kl", "rotation/bce+kl"]


@pytest.mark.parametrize("weighting", [Equal(), MGDA()], ids=["equal", "mgda"])
@pytest.mark.parametrize("separate", [False, True])
def test_self_supervision_is_one_objective_and_one_attack(weighting, separate):
    module = module_for(SelfSupervised(0.5), separate=separate, weighting=weighting)
    reference = Reference(module, separate)
    fit_one_step(module)

    def each(images):
        return reference.loss(images, "class") + 0.5 * sum(reference.loss(images, task) for task in NAMES[1:])

    adversarial = ascend(reference.x, reference.x, STEPS, EPS / 4, lambda images: each(images).sum())
    means = [reference.mean(adversarial, task) for task in NAMES]
    total = means[0] + 0.5 * (means[1] + means[2])
    torch.testing.assert_close(gradients_of(module), by_hand(reference, total), rtol=0, atol=1e-10)
    assert module.last_step.names == ["class/adv+macro+rotation"]


def test_friendly_images_are_those_of_the_published_loop():
    module = module_for(Friendly(eps=EPS, tau=1, steps=6))
    reference = Reference(module, False)
    fit_one_step(module)
    start = uniform_start(reference.x)
    rows = []
    for i in range(SIZE):  # Algorithm 1 of the paper, image by image
        x, label, patience = reference.x[i : i + 1], reference.labels["class"][i : i + 1], 1
        current = start[i : i + 1]
        for _ in range(6):
            output = logits(reference, current, "class")
            if output.argmax(1) != label:
                if patience == 0:
                    break
                patience -= 1
            current = ascend(
                x, current, 1, EPS / 4, lambda z, label=label: cross_entropy(logits(reference, z, "class"), label)
            )
        rows.append(current)
    adversarial = torch.cat(rows)
    total = sum(reference.mean(adversarial, task) for task in NAMES)
    torch.testing.assert_close(gradients_of(module), by_hand(reference, total), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("micro_batch", "space"), [(None, "parameters"), (3, "parameters"), (3, "representation")])
def test_free_replays_a_batch_and_moves_weights_and_images_together(micro_batch, space):
    module = module_for(Free(EPS, replays=3), micro_batch=micro_batch, space=space)
    reference = Reference(module, False)
    fit_one_step(module)
    perturbation = torch.zeros_like(reference.x)
    for _ in range(3):
        images = (reference.x + perturbation).clamp(0, 1).requires_grad_()
        gradient = torch.autograd.grad(reference.loss(images, "class").sum(), images, retain_graph=True)[0]
        loss = sum(reference.mean(images, task) for task in NAMES)
        steps = torch.autograd.grad(loss, parameters_of(reference))
        perturbation = (perturbation + EPS * gradient.sign()).clamp(-EPS, EPS)
        with torch.no_grad():
            for parameter, step in zip(parameters_of(reference), steps, strict=True):
                parameter -= LR * (step + DECAY * parameter)
    theirs = [*module.model.encoder.parameters()]
    for task in NAMES:
        theirs += module.model.decoder_parameters(task)
    for own, expected in zip(theirs, parameters_of(reference), strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(module.method.state()["perturbation"], perturbation, rtol=0, atol=1e-12)
    again = Free(EPS)
    again.load_state(module.method.state())
    assert torch.equal(again.state()["perturbation"], perturbation)


@pytest.mark.parametrize(
    "method", [Madry("separate"), Adversarial(), Trades(eps=EPS, steps=STEPS)], ids=lambda m: type(m).__name__
)
@pytest.mark.parametrize("micro_batch", [None, 3])
def test_gradients_are_those_at_adversarial_weights(method, micro_batch):
    gamma = 0.02
    module = module_for(method, weight_perturbation=WeightPerturbation(gamma), micro_batch=micro_batch)
    reference = Reference(module, False)
    before = [parameter.detach().clone() for parameter in parameters_of(reference)]
    fit_one_step(module)
    adversarial = trades_images(reference) if isinstance(method, Trades) else reference.pgd()

    def total():
        clean, attacked = (sum(reference.mean(each, task) for task in NAMES) for each in (reference.x, adversarial))
        if isinstance(method, Adversarial):
            return attacked
        if isinstance(method, Trades):
            return clean + 6 * sum(divergence(reference, reference.x, adversarial, task) for task in NAMES)
        return clean + attacked

    ascent = torch.autograd.grad(total(), parameters_of(reference))
    with torch.no_grad():
        for weight, direction in zip(parameters_of(reference), ascent, strict=True):
            if weight.dim() > 1:
                weight += gamma * weight.norm() * direction / direction.norm()
    expected = by_hand(reference, total())
    torch.testing.assert_close(gradients_of(module), expected, rtol=0, atol=1e-10)
    updated = torch.cat([p.flatten() for p in before])
    updated = updated - LR * (expected + DECAY * updated)
    theirs = [*module.model.encoder.parameters(), *(p for task in NAMES for p in module.model.decoder_parameters(task))]
    torch.testing.assert_close(torch.cat([p.detach().flatten() for p in theirs]), updated, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Trades(eps=EPS, beta=-1), "beta=-1"),
        (lambda: Mart(eps=EPS, coefficient=float("nan")), "coefficient=nan"),
        (lambda: Trades(eps=EPS, pairing="both"), "combined, separate"),
        (lambda: Fast(EPS, step=0), "step=0"),
        (lambda: Fast(EPS, threshold=1), "threshold=1"),
        (lambda: Free(EPS, replays=0), "replays=0"),
        (lambda: Friendly(eps=EPS, tau=-1), "tau=-1"),
        (lambda: SelfSupervised(-0.5), "coefficient=-0.5"),
        (lambda: SelfSupervised().check([object()], []), "Rotation"),
        (lambda: WeightPerturbation(0), "gamma=0"),
    ],
)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()

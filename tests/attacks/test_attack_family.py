"""Properties that every attack keeps, in every norm and from every start."""

from __future__ import annotations

import copy
import doctest
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gat_lightning.attacks import BIM, FGSM, MIM, PGD, Attack, ClassifierProblem, LossProblem
from gat_lightning.attacks.norms import STARTS, as_norm
from gat_lightning.randomness import BatchGenerator, Shard

ModelMaker = Callable[..., nn.Module]

ORDER = {"Linf": float("inf"), "L2": 2, "L1": 1}
EPS = {"Linf": 8 / 255, "L2": 0.5, "L1": 4.0}


def attacks(norm: str, eps: float | str | None = None) -> list[Attack]:
    eps = EPS[norm] if eps is None else eps
    return [
        FGSM(norm=norm, eps=eps),
        BIM(norm=norm, eps=eps, steps=4),
        MIM(norm=norm, eps=eps, steps=4),
        MIM(norm=norm, eps=eps, steps=3, decay=0.5, step_size=eps or None),
        *(PGD(norm=norm, eps=eps, steps=4, random_start=start) for start in STARTS),
        PGD(norm=norm, eps=eps, steps=2, restarts=3),
    ]


def key(*extra: int | str, size: int = 8) -> BatchGenerator:
    return BatchGenerator(Shard.whole(size), "test", *extra)


def distance(adversarial: Tensor, images: Tensor, norm: str) -> Tensor:
    return torch.linalg.vector_norm((adversarial.double() - images.double()).flatten(1), ORDER[norm], dim=1)


every = pytest.mark.parametrize("norm", list(ORDER))


@every
@settings(deadline=None, max_examples=12, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    eps=st.sampled_from([1e-2, 8 / 255, 0.3, 1.0]),
    contrast=st.sampled_from([0.0, 0.1, 1.5, 100.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_stays_in_the_ball_and_in_the_box(
    plain_model: ModelMaker, norm: str, seed: int, eps: float, contrast: float, dtype: torch.dtype
) -> None:
    drawn = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    images = ((drawn - 0.5) * contrast + seed % 3 / 2).clamp(0, 1)
    problem = ClassifierProblem(plain_model(dtype), torch.tensor([0, 1, 2]))
    for attack in attacks(norm, eps):
        adversarial = attack(problem, images, key(seed, size=3))
        assert adversarial.dtype == dtype
        assert adversarial.shape == images.shape
        assert not adversarial.requires_grad
        assert 0 <= adversarial.min() <= adversarial.max() <= 1
        # Storing image + perturbation in float32 rounds each pixel by up to 2^-25.
        rounding = 2**-25 * (1 if norm == "Linf" else images[0].numel()) if dtype == torch.float32 else 0
        assert (distance(adversarial, images, norm) <= eps * (1 + 1e-5) + rounding).all(), attack.name


@every
def test_increases_the_loss_above_clean_and_random(norm: str, problem: ClassifierProblem, images: Tensor) -> None:
    with torch.no_grad():
        clean = problem.loss(images)
        noise = as_norm(norm).uniform(images, EPS[norm], key("noise"))
        noisy = problem.loss((images + noise).clamp(0, 1))
        for attack in attacks(norm):
            attacked = problem.loss(attack(problem, images, key()))
            assert (attacked > clean).all(), attack.name
            assert (attacked > noisy).all(), attack.name


@every
def test_more_steps_reach_a_higher_loss(norm: str, problem: ClassifierProblem, images: Tensor) -> None:
    reached = [
        problem.loss(PGD(norm=norm, eps=EPS[norm], steps=steps)(problem, images, key())).sum() for steps in (1, 5, 20)
    ]
    assert reached[0] < reached[1] < reached[2] * 1.001


def never(x: Tensor) -> Tensor:
    raise AssertionError("The loss was asked for")


@every
@pytest.mark.parametrize("eps", [0, 0.0, "0", "0/255"])
def test_zero_budget_returns_the_images_at_no_cost(norm: str, eps: float | str, images: Tensor) -> None:
    for attack in [
        FGSM(norm=norm, eps=eps),
        BIM(norm=norm, eps=eps),
        MIM(norm=norm, eps=eps),
        PGD(norm=norm, eps=eps, restarts=2),
    ]:
        adversarial = attack(never, images)
        assert torch.equal(adversarial, images)
        assert adversarial.data_ptr() != images.data_ptr()


@every
def test_equal_keys_give_equal_images(norm: str, problem: ClassifierProblem, images: Tensor) -> None:
    for attack in attacks(norm):
        first, second, other = (attack(problem, images, key(name)) for name in "aab")
        assert torch.equal(first, second)
        random = attack.name.startswith("pgd") and getattr(attack, "random_start", "none") != "none"
        assert torch.equal(first, other) != random


@every
def test_shards_together_equal_the_whole_batch(
    plain_model: ModelMaker, norm: str, images: Tensor, labels: Tensor
) -> None:
    model, images = plain_model(torch.float64), images.double()
    for attack in attacks(norm):
        whole = attack(ClassifierProblem(model, labels), images, key())
        parts = [
            attack(ClassifierProblem(model, labels[a:b]), images[a:b], BatchGenerator(Shard(a, b - a, 8), "test"))
            for a, b in ((0, 3), (3, 8))
        ]
        torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-12)


def test_samples_do_not_influence_each_other(plain_model: ModelMaker, images: Tensor, labels: Tensor) -> None:
    """A NaN loss of one sample leaves the others' results alone."""
    model = plain_model()
    broken = torch.tensor([1.0, float("nan"), 1, 1, 1, 1, 1, 1])
    attack = PGD(steps=2, restarts=2)
    whole = attack(ClassifierProblem(model, labels), images, key())
    damaged = attack(
        ClassifierProblem(model, labels, lambda z, y: nn.functional.cross_entropy(z, y, reduction="none") * broken),
        images,
        key(),
    )
    assert torch.equal(damaged[[0, *range(2, 8)]], whole[[0, *range(2, 8)]])


@every
def test_restarts_never_lower_the_loss(norm: str, problem: ClassifierProblem, images: Tensor) -> None:
    with torch.no_grad():
        losses = [
            problem.loss(PGD(norm=norm, eps=EPS[norm], steps=2, restarts=restarts)(problem, images, key()))
            for restarts in (1, 2, 4)
        ]
    assert (losses[1] >= losses[0]).all()
    assert (losses[2] >= losses[1]).all()
    assert (losses[2] > losses[0]).any()


@every
def test_a_constant_loss_moves_nothing(norm: str, images: Tensor) -> None:
    for attack in [FGSM(norm=norm, eps=EPS[norm]), BIM(norm=norm, eps=EPS[norm]), MIM(norm=norm, eps=EPS[norm])]:
        assert torch.equal(attack(lambda x: 0 * x.sum((1, 2, 3)), images), images)


@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1e15])
@every
def test_scale_of_the_loss_does_not_matter(norm: str, scale: float, images: Tensor, labels: Tensor) -> None:
    """Gradients of very confident models are tiny; their squares would underflow."""
    weight = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(3))
    for attack in attacks(norm):
        plain, scaled = (attack(lambda x, s=s: (x * weight).sum((1, 2, 3)) * s, images, key()) for s in (1, scale))
        torch.testing.assert_close(scaled, plain, rtol=0, atol=1e-5)


def test_decay_zero_is_bim(problem: ClassifierProblem, images: Tensor) -> None:
    for norm in ORDER:
        bim, mim = BIM(norm=norm, eps=EPS[norm]), MIM(norm=norm, eps=EPS[norm], decay=0)
        torch.testing.assert_close(mim(problem, images), bim(problem, images), rtol=0, atol=1e-4)


def test_costs_one_forward_and_one_input_gradient_per_step(problem: ClassifierProblem, images: Tensor) -> None:
    calls = []

    def loss(x: Tensor) -> Tensor:
        assert x.requires_grad == torch.is_grad_enabled()
        calls.append(x.requires_grad)
        return problem.loss(x)

    for attack, expected in (
        (FGSM(), [True]),
        (BIM(steps=3), [True] * 3),
        (MIM(steps=3), [True] * 3),
        (PGD(steps=3), [True] * 3),
        (PGD(steps=2, restarts=2), [True, True, False] * 2),
    ):
        calls.clear()
        attack(loss, images)
        assert calls == expected


@every
def test_the_loss_is_only_asked_inside_the_ball_and_the_box(
    norm: str, problem: ClassifierProblem, images: Tensor
) -> None:
    def loss(x: Tensor) -> Tensor:
        assert 0 <= x.min() <= x.max() <= 1
        assert (distance(x, images, norm) <= EPS[norm] * (1 + 1e-5)).all()
        return problem.loss(x)

    for attack in attacks(norm):
        attack(loss, images)


def test_l1_steps_move_on_when_a_pixel_has_reached_the_box() -> None:
    weight = torch.tensor([4.0, -3.0, 2.0, 1.0]).view(1, 1, 2, 2)
    attack = BIM(norm="L1", eps=1.5, step_size=0.5, steps=3)
    adversarial = attack(lambda x: (weight * x).sum((1, 2, 3)), torch.full((1, 1, 2, 2), 0.5))
    assert adversarial.flatten().tolist() == [1.0, 0.0, 1.0, 0.5]


def test_without_generator_calls_differ_and_manual_seed_reproduces(problem: ClassifierProblem, images: Tensor) -> None:
    def two_calls(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        attack = PGD(steps=1)
        results = [attack(problem, images) for _ in range(2)]
        assert torch.equal(torch.get_rng_state(), state)
        return results

    with torch.random.fork_rng(devices=[]):
        first, again, other = two_calls(1), two_calls(1), two_calls(2)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_takes_functions_modules_and_problems(problem: ClassifierProblem, images: Tensor, labels: Tensor) -> None:
    class PerSample(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert not self.training
            return problem.loss(x)

    expected = BIM(steps=3)(problem, images)
    module = PerSample().train()
    for given_problem in (problem.loss, LossProblem(problem.loss), LossProblem(problem.loss, problem.module), module):
        assert torch.equal(BIM(steps=3)(given_problem, images), expected)
    assert module.training


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (0, 1, 1, 1)])
def test_empty_batch(shape: tuple[int, ...]) -> None:
    for norm in ORDER:
        for attack in attacks(norm):
            assert attack(never, torch.empty(shape)).shape == shape
            assert attack(never, torch.empty(shape), BatchGenerator(Shard(4, 0, 4), 0)).shape == shape


@every
def test_memory_layout_and_size_do_not_matter(
    plain_model: ModelMaker, norm: str, images: Tensor, labels: Tensor
) -> None:
    problem = ClassifierProblem(plain_model(torch.float64), labels)
    images = images.double()
    for attack in attacks(norm):
        expected = attack(problem, images, key())
        channels_last = attack(problem, images.to(memory_format=torch.channels_last), key())
        torch.testing.assert_close(channels_last, expected, rtol=0, atol=1e-12)
    assert PGD(norm=norm, eps=0.1, steps=1)(lambda x: x.sum((1, 2, 3)), torch.rand(1, 1, 1, 1)).shape == (1, 1, 1, 1)


def test_copies_of_an_attack_are_independent(problem: ClassifierProblem, images: Tensor) -> None:
    attack = PGD(steps=1)
    attack(problem, images)
    twin = copy.deepcopy(attack)
    assert torch.equal(twin(problem, images), attack(problem, images))


@pytest.mark.parametrize("attack", [FGSM, BIM, MIM, PGD])
def test_examples_of_the_documentation_run(attack: type[Attack], problem: ClassifierProblem, images: Tensor) -> None:
    names = {"ClassifierProblem": ClassifierProblem, "model": problem.model, "labels": problem.labels, "images": images}
    (example,) = doctest.DocTestFinder(recurse=False).find(attack, globs=names | {attack.__name__: attack})
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0

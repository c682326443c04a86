"""Attacks of torchattacks behind our contract: equal to torchattacks called directly, optimal where that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchattacks
from torch import Tensor, nn

from gat_lightning.attacks import Attack, ClassifierProblem, LossProblem
from gat_lightning.attacks.apgd import APGDCE, APGDT
from gat_lightning.attacks.autoattack import AutoAttack
from gat_lightning.attacks.cw import CW
from gat_lightning.attacks.external import ExternalAttack
from gat_lightning.attacks.fab import FAB
from gat_lightning.attacks.problem import BinaryProblem
from gat_lightning.attacks.square import Square
from gat_lightning.randomness import BatchGenerator, Shard
from support.attack_traces import trace

ModelMaker = Callable[..., nn.Module]

EPS = {"Linf": 0.04, "L2": 0.6, "L1": 4.0}
ORDER = {"Linf": float("inf"), "L2": 2, "L1": 1}
DUAL = {"Linf": 1, "L2": 2, "L1": float("inf")}
SEED = 5


def key(*extra: int | str, size: int = 8) -> BatchGenerator:
    return BatchGenerator(Shard.whole(size), "test", *extra)


@pytest.fixture
def right(plain_model: ModelMaker, images: Tensor) -> ClassifierProblem:
    """A problem whose labels are the model's own predictions."""
    model = plain_model()
    return ClassifierProblem(model, model(images).argmax(1))


SHARED: dict[str, Any] = {"norm": "Linf", "eps": EPS["Linf"], "seed": SEED}
SHARED_L2: dict[str, Any] = {"norm": "L2", "eps": EPS["L2"], "seed": SEED}
PAIRS: dict[str, tuple[Attack, Callable[[nn.Module], Any]]] = {
    "apgd_ce": (
        APGDCE(**SHARED, steps=8, restarts=2),
        lambda model: torchattacks.APGD(model, **SHARED, steps=8, n_restarts=2),
    ),
    "apgd_ce-l2": (APGDCE(**SHARED_L2, steps=8), lambda model: torchattacks.APGD(model, **SHARED_L2, steps=8)),
    "apgd_t": (APGDT(**SHARED, steps=6), lambda model: torchattacks.APGDT(model, **SHARED, steps=6, n_classes=5)),
    "fab": (
        FAB(**SHARED, steps=6, restarts=2, targeted=False),
        lambda model: torchattacks.FAB(model, **SHARED, steps=6, n_restarts=2, n_classes=5),
    ),
    "fab-t": (
        FAB(**SHARED, steps=6),
        lambda model: torchattacks.FAB(model, **SHARED, steps=6, n_classes=5, multi_targeted=True),
    ),
    "fab-l2": (
        FAB(**SHARED_L2, steps=6),
        lambda model: torchattacks.FAB(model, **SHARED_L2, steps=6, n_classes=5, multi_targeted=True),
    ),
    "square": (
        Square(**SHARED, queries=60, restarts=2),
        lambda model: torchattacks.Square(model, **SHARED, n_queries=60, n_restarts=2),
    ),
    "square-l2": (Square(**SHARED_L2, queries=60), lambda model: torchattacks.Square(model, **SHARED_L2, n_queries=60)),
}


@pytest.mark.parametrize("pair", list(PAIRS))
def test_equals_torchattacks(pair: str, right: ClassifierProblem, images: Tensor) -> None:
    ours, theirs = PAIRS[pair]
    with torch.random.fork_rng(devices=[]):
        expected = theirs(right.model)(images, right.labels)
    actual = ours(right, images)
    changed = (expected != images).flatten(1).any(1)
    assert changed.sum() > 0
    assert torch.equal(actual, expected)


@pytest.mark.parametrize("norm", ["Linf", pytest.param("L2", marks=pytest.mark.slow)])
def test_autoattack_equals_torchattacks(norm: str, right: ClassifierProblem, images: Tensor) -> None:
    settings = {"norm": norm, "seed": SEED, "eps": 0.3 * EPS[norm]}
    theirs = torchattacks.AutoAttack(right.model, n_classes=5, **settings)
    for member in theirs._autoattack.attacks:
        member.steps, member.n_queries = 4, 20
    with torch.random.fork_rng(devices=[]):
        expected = theirs(images, right.labels)
    actual = AutoAttack(steps=4, queries=20, **settings)(right, images)
    assert 0 < right.success(actual).sum() < len(images)
    assert torch.equal(right.success(actual), right.success(expected))
    if norm == "Linf":
        assert torch.equal(actual, expected)


class Linear(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(classes)
        self.weight = nn.Parameter(torch.randn(classes, 3 * 8 * 8, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - 0.5) @ self.weight.T


LINEAR = [
    *((APGDCE, norm, {"steps": 40}, 2) for norm in ("Linf", "L2")),
    *((APGDT, norm, {"steps": 40}, classes) for norm in ("Linf", "L2") for classes in (2, 3, 4)),
    (APGDCE, "L1", {"steps": 60}, 2),
    *((APGDT, "L1", {"steps": 60}, classes) for classes in (2, 4)),
    *((FAB, norm, {"steps": 10}, classes) for norm in ("Linf", "L2", "L1") for classes in (2, 3, 4)),
    *((FAB, norm, {"steps": 10, "targeted": False}, classes) for norm in ("Linf", "L2", "L1") for classes in (2, 3)),
    *((AutoAttack, norm, {"steps": 20, "queries": 5}, classes) for norm in ("Linf", "L2") for classes in (2, 3)),
]


@pytest.mark.parametrize(("attack", "norm", "settings", "classes"), LINEAR)
def test_linear_classifiers_fall_exactly_within_reach(
    attack: type[Attack], norm: str, settings: dict[str, Any], classes: int
) -> None:
    """A linear classifier is robust at eps if margin / dual norm of the weights' difference is above eps."""
    model = Linear(classes)
    images = 0.35 + 0.3 * torch.rand(24, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    logits = model(images).detach()
    labels = logits.argmax(1)
    distance = torch.full((24,), torch.inf)
    for other in range(classes):
        lengths = torch.linalg.vector_norm(model.weight.detach() - model.weight[other].detach(), DUAL[norm], dim=1)
        reach = (logits.gather(1, labels[:, None])[:, 0] - logits[:, other]) / lengths[labels]
        distance = torch.where(labels == other, distance, torch.minimum(distance, reach))
    ordered = distance.sort().values
    gap = int((ordered[8:17] / ordered[7:16]).argmax()) + 8
    eps = float((ordered[gap] * ordered[gap - 1]).sqrt())
    problem = ClassifierProblem(model, labels)
    adversarial = attack(norm=norm, eps=eps, **settings)(problem, images, key(size=24))
    assert torch.equal(problem.success(adversarial), distance < eps)
    size = torch.linalg.vector_norm((adversarial - images).flatten(1), ORDER[norm], dim=1)
    assert (size <= eps * (1 + 1e-5) + 1e-6).all()


EXTERNAL: list[Attack] = [
    APGDCE(steps=3),
    APGDT(steps=3),
    FAB(steps=3, restarts=2),
    Square(queries=10),
    CW(steps=5, eps=5),
    AutoAttack(steps=2, queries=5),
]
each = pytest.mark.parametrize("attack", EXTERNAL, ids=lambda attack: attack.name)


@each
@pytest.mark.parametrize("training", [True, False])
def test_everything_is_as_before(
    normalised_model: ModelMaker, attack: Attack, training: bool, images: Tensor, labels: Tensor
) -> None:
    model = normalised_model(dropout=0.5)
    model.train(training)
    before = trace(model)
    attack(ClassifierProblem(model, labels), images)
    assert trace(model) == before


@each
@pytest.mark.parametrize("step", [0, 2])
def test_everything_is_as_before_when_the_model_raises(
    normalised_model: ModelMaker, attack: Attack, step: int, images: Tensor
) -> None:
    model = normalised_model(dropout=0.5).train()
    labels = model.eval()(images).argmax(1)
    model.train()
    before, calls = trace(model), []

    class Failing(ClassifierProblem):
        def logits(self, images: Tensor) -> Tensor:
            calls.append(None)
            if len(calls) > step:
                raise KeyboardInterrupt
            return super().logits(images)

    with pytest.raises(KeyboardInterrupt):
        attack(Failing(model, labels), images)
    assert trace(model) == before


@each
def test_random_numbers_follow_from_the_generator_alone(
    attack: Attack, right: ClassifierProblem, images: Tensor
) -> None:
    results = []
    for seed, name in ((0, "a"), (1, "a"), (1, "b")):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            results.append(attack(right, images, key(name)))
    assert torch.equal(results[0], results[1])
    if attack.name in ("apgd_ce", "square"):
        assert not torch.equal(results[1], results[2])


@each
def test_stays_in_the_ball_and_the_box_and_takes_an_empty_batch(
    attack: Attack, right: ClassifierProblem, images: Tensor
) -> None:
    adversarial = attack(right, images, key())
    assert 0 <= adversarial.min() <= adversarial.max() <= 1
    size = torch.linalg.vector_norm((adversarial - images).flatten(1), ORDER[attack.norm.name], dim=1)
    assert (size <= attack.eps * (1 + 1e-5) + 1e-6).all()
    assert attack(right, images[:0], key(size=0)).shape == (0, 3, 8, 8)


def test_a_binary_logit_is_attacked_as_two_classes(images: Tensor) -> None:
    """Equal to a two-class model whose logits are (0, z)."""
    linear = Linear(2)

    class OneLogit(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return linear(x)[:, 1:]

    class TwoLogits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            z = linear(x)[:, 1:]
            return torch.cat([torch.zeros_like(z), z], 1)

    labels = (OneLogit()(images)[:, 0] > 0).long()
    one, two = BinaryProblem(OneLogit(), labels), ClassifierProblem(TwoLogits(), labels)
    expected = nn.functional.binary_cross_entropy_with_logits(
        OneLogit()(images)[:, 0], labels.float(), reduction="none"
    )
    torch.testing.assert_close(one.loss(images), expected)
    for attack in EXTERNAL:
        assert torch.equal(attack(one, images, key()), attack(two, images, key()))
    with pytest.raises(ValueError, match=r"at least 2 classes, got \[8, 1\]; BinaryProblem"):
        APGDCE(steps=1)(ClassifierProblem(OneLogit(), labels), images)


@each
def test_a_loss_alone_is_for_square_only(attack: Attack, images: Tensor) -> None:
    weight = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(3))
    problem = LossProblem(lambda x: (x * weight).sum((1, 2, 3)))
    if attack.name != "square":
        with pytest.raises(ValueError, match=r"not defined for a loss alone.*use PGD"):
            attack(problem, images)
        return
    few, many = (Square(eps=0.1, queries=queries)(problem, images, key()) for queries in (1, 60))
    assert (problem.loss(few) >= problem.loss(images)).all()
    assert (problem.loss(many) > problem.loss(few)).all()
    assert ((many - images).abs() <= 0.1 + 1e-6).all()
    l2 = Square(norm="L2", eps=1.0, queries=60)(problem, images, key())
    assert (problem.loss(l2) > problem.loss(images)).all()


def test_cw_finds_most_of_what_is_in_reach_and_nothing_beyond() -> None:
    model = Linear(2)
    images = 0.35 + 0.3 * torch.rand(24, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    logits = model(images).detach()
    length = torch.linalg.vector_norm(model.weight[0] - model.weight[1]).detach()
    distance = (logits[:, 0] - logits[:, 1]).abs() / length
    problem = ClassifierProblem(model, logits.argmax(1))
    eps = float(distance.median())
    assert not problem.success(CW(eps=eps, steps=50)(problem, images))[distance > eps].any()
    assert problem.success(CW(eps=30, steps=50)(problem, images)).sum() > 16


def test_cw_moves_pixels_at_the_ends_of_the_box() -> None:
    """Where torchattacks is stuck: atanh is infinite there."""
    model = Linear(2)
    images = (torch.rand(24, 3, 8, 8, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    problem = ClassifierProblem(model, model(images).argmax(1))
    assert torch.equal(torchattacks.CW(model, steps=50)(images, problem.labels), images)
    assert problem.success(CW(eps=30, steps=50, c=10, lr=0.05)(problem, images)).sum() > 4


@pytest.mark.parametrize("broken", [float("nan"), 0.9])
def test_what_leaves_the_ball_does_not_count(broken: float, right: ClassifierProblem, images: Tensor) -> None:
    class Broken(ExternalAttack):
        label = "broken"

        def build(self, model: nn.Module, problem: ClassifierProblem, images: Tensor, seed: int) -> Any:
            return lambda images, labels: torch.where(torch.arange(8).view(8, 1, 1, 1) == 3, broken, images)

    assert torch.equal(Broken()(right, images, key()), images)


def test_square_in_l2_refuses_tiny_images() -> None:
    with pytest.raises(ValueError, match="at least 5x5 pixels"):
        Square(norm="L2", eps=0.5)(
            ClassifierProblem(Linear(2), torch.zeros(1, dtype=torch.long)), torch.zeros(1, 3, 4, 4)
        )


def test_names() -> None:
    assert [attack.name for attack in EXTERNAL] == ["apgd_ce", "apgd_t", "fab", "square", "cw-l2", "autoattack"]
    assert [member.name for member in AutoAttack(norm="L2", eps=0.5).members] == [
        "apgd_ce-l2",
        "apgd_t-l2",
        "fab-l2",
        "square-l2",
    ]

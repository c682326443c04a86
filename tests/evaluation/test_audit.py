"""The audit: honest models pass, cheats are caught, and its verdicts can be stored and read."""

from __future__ import annotations

import io
import json

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from gat_lightning.attacks import PGD
from gat_lightning.attacks.norms import L1, L2, Linf, Norm
from gat_lightning.errors import UserError
from gat_lightning.evaluation.audit import AuditReport, audit
from gat_lightning.evaluation.audit.feasibility import in_the_ball
from gat_lightning.evaluation.audit.gradients import deterministic, loss_choice, nonzero_gradients, smooth_loss
from gat_lightning.evaluation.audit.strength import more_steps, random_noise
from gat_lightning.evaluation.audit.subject import Outcome, Subject
from support.audited_models import EPS, HardStep, Quantised, RandomResize, Scaled, digits, trained

CHEATS = {
    "quantised input": lambda model: Quantised(model, 8),
    "random resizing": RandomResize,
    "logits x 1000": lambda model: Scaled(model, 1000.0),
    "hard step": HardStep,
}


def subject(model: nn.Module, count: int = 60, eps: float = EPS) -> Subject:
    images, labels = digits(count)
    return Subject(model.eval(), images, labels, eps, Linf(), seed=0, batch_size=256)


@pytest.fixture(scope="module")
def undefended() -> nn.Module:
    return trained(adversarial=False, epochs=5)


@pytest.fixture(scope="module")
def report(undefended: nn.Module) -> AuditReport:
    images, labels = digits(40)
    return audit(undefended, images, labels, eps=0.25, surrogate=trained(adversarial=False, seed=1, epochs=5))


def test_an_undefended_model_is_honest(report: AuditReport) -> None:
    assert report.suspicious == ()
    assert {check.verdict for check in report.checks} == {"pass"}
    assert len(report.checks) == 10
    assert report.settings["robust_accuracy"] < 0.2 < 0.9 < report.settings["clean_accuracy"]


def test_a_report_is_stored_and_read(report: AuditReport) -> None:
    assert all(check.evidence and check.explanation and check.reference for check in report.checks)
    stored = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [check["name"] for check in stored["checks"]] == [check.name for check in report.checks]
    markdown = report.markdown()
    shown = io.StringIO()
    Console(file=shown, width=160).print(report.table())
    for check in report.checks:
        assert f"## {check.name}: {check.verdict}" in markdown
        assert check.name in shown.getvalue()
        assert check.reference in markdown


@pytest.mark.parametrize("cheat", ["quantised input", "logits x 1000", "hard step"])
def test_zero_gradients_are_found(undefended: nn.Module, cheat: str) -> None:
    audited = subject(CHEATS[cheat](undefended))
    check = nonzero_gradients(audited)
    assert check.verdict == "suspicious"
    assert check.evidence["zero_gradients_cross_entropy"] > 0.9
    saturated = cheat == "logits x 1000"
    assert (check.evidence["zero_gradients_margin_loss"] == 0) == saturated
    assert (loss_choice(audited).verdict == "suspicious") == saturated
    assert smooth_loss(audited).verdict == "suspicious"
    assert (random_noise(audited).verdict == "suspicious") == (not saturated)


def test_a_detached_model_has_zero_gradients(undefended: nn.Module) -> None:
    class Detached(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return undefended(images.detach())

    assert nonzero_gradients(subject(Detached())).verdict == "suspicious"


@pytest.mark.parametrize(("norm", "tolerated"), [(Linf(), 10), (L2(), 10), (L1(), 20)])
def test_a_longer_attack_must_not_find_much_more(undefended: nn.Module, norm: Norm, tolerated: int) -> None:
    images, labels = digits(100)
    audited = Subject(undefended, images, labels, EPS, norm, seed=0, batch_size=256)
    number = torch.arange(100)
    audited.white_box = Outcome(images, number < 60)
    for more, verdict in ((0, "pass"), (tolerated - 1, "pass"), (tolerated + 1, "suspicious")):
        audited.strong = Outcome(images, number < 60 - more)
        assert more_steps(audited).verdict == verdict


class AlwaysTraining(nn.Module):
    """Keeps a model in train mode, so that BatchNorm sees the other images of the batch."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        self.model.train()
        logits = self.model(images)
        self.model.eval()
        return logits


class Noise(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images + 0.1 * torch.randn_like(images))


def test_randomness_and_batch_dependence_are_found(undefended: nn.Module) -> None:
    assert deterministic(subject(undefended)).verdict == "pass"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for cheat in (RandomResize(undefended), Noise(undefended)):
            check = deterministic(subject(cheat))
            assert check.verdict == "suspicious"
            assert check.evidence["largest_change_when_repeated"] > 0.1
    before = {name: value.clone() for name, value in undefended.state_dict().items()}
    check = deterministic(subject(AlwaysTraining(undefended)))
    undefended.load_state_dict(before)
    assert check.verdict == "suspicious"
    assert check.evidence["largest_change_when_alone"] > 0.1


def test_images_outside_the_ball_or_the_box_are_found(undefended: nn.Module) -> None:
    audited = subject(undefended, 8)
    images = audited.images
    assert in_the_ball(audited, {"clean": images}).verdict == "pass"
    far = (images + 1.01 * EPS).clamp(0, 1)
    bright = images.clone()
    bright[2, 0, 3, 3] = 1.001
    for given, count in ((far, 8), (bright, 1)):
        check = in_the_ball(audited, {"given": given})
        assert check.verdict == "suspicious"
        assert check.evidence["images_outside"]["given"] == count
        assert check.evidence["images_outside"]["pgd20"] == 0


def test_results_do_not_depend_on_the_batch_size(undefended: nn.Module) -> None:
    images, labels = digits(40)
    outcomes = [
        Subject(undefended, images, labels, EPS, Linf(), 0, size).attacked(PGD(eps=EPS, steps=5), "key").correct
        for size in (7, 40)
    ]
    assert torch.equal(*outcomes)


def test_one_logit_is_a_binary_decision() -> None:
    class Bright(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return 20 * (images.flatten(1).mean(1, keepdim=True) - 0.5)

    images = torch.cat([torch.full((8, 1, 8, 8), 0.4), torch.full((8, 1, 8, 8), 0.6)])
    labels = torch.arange(16) // 8
    report = audit(Bright(), images, labels, eps=0.05)
    assert report.suspicious == ()
    assert report.settings["robust_accuracy"] == 1
    assert {check.name for check in report.checks if check.verdict == "not applicable"} == {"transfer"}


def test_refusals(undefended: nn.Module) -> None:
    images, labels = digits(10)
    wrong = (undefended(images).argmax(1) + 1) % 10
    for kwargs, x, y, message in (
        ({"eps": 0}, images, labels, "eps=0.*above 0"),
        ({"eps": 0.1}, images, labels[:3], "classes"),
        ({"eps": 0.1}, images[:0], labels[:0], "images"),
        ({"eps": 0.1, "adversarial": {"pgd": images[:2]}}, images, labels, "'pgd'"),
        ({"eps": 0.1, "norm": "L7"}, images, labels, "norm"),
        ({"eps": 0.1}, images, wrong, "at least one image"),
    ):
        with pytest.raises((ValueError, UserError), match=message):
            audit(undefended, x, y, **kwargs)


@pytest.mark.slow
@pytest.mark.parametrize("cheat", CHEATS)
def test_planted_cheats_are_caught(cheat: str) -> None:
    images, labels = digits(100)
    model = trained(adversarial=False)
    report = audit(CHEATS[cheat](model), images, labels, eps=EPS, surrogate=trained(adversarial=True))
    assert len(report.suspicious) >= 3, report.markdown()
    assert "ball and box" not in report.suspicious


@pytest.mark.slow
@pytest.mark.parametrize("adversarial", [True, False])
@pytest.mark.parametrize(("norm", "eps"), [("Linf", 0.1), ("Linf", 0.03), ("L2", 0.5), ("L1", 2.0)])
def test_honest_models_are_not_flagged(adversarial: bool, norm: str, eps: float) -> None:
    images, labels = digits(100)
    model, other = trained(adversarial), trained(not adversarial)
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    report = audit(model, images, labels, eps=eps, norm=norm, surrogate=other)
    assert report.suspicious == (), report.markdown()
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(parameter.requires_grad for parameter in model.parameters())

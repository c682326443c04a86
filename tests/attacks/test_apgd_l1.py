"""Auto-PGD in L1: the projection is optimal, and the steps are those of a plain transcription of the algorithm."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gat_lightning.attacks import APGDCE, APGDT, ClassifierProblem
from gat_lightning.attacks.apgd_l1 import project_in_box, search_in_l1, sparse_sign
from gat_lightning.attacks.losses import dlr, margin

ModelMaker = Callable[..., nn.Module]
Floats = NDArray[np.float64]


def bisected(image: Floats, delta: Floats, eps: float) -> Floats:
    """The projection of one image, by bisection of the Lagrange multiplier of the norm."""

    def at(threshold: float) -> Floats:
        shrunk = np.sign(delta) * np.maximum(np.abs(delta) - threshold, 0)
        return np.clip(image + shrunk, 0, 1) - image

    low, high = 0.0, float(np.abs(delta).max())
    if np.abs(at(0)).sum() <= eps:
        return at(0)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.abs(at(middle)).sum() > eps else (low, middle)
    return at(high)


@pytest.mark.parametrize("scale", [0.02, 0.3, 3.0])
@pytest.mark.parametrize("eps", [0.0, 0.5, 4.0, 40.0])
def test_the_projection_is_the_nearest_point_of_ball_and_box(images: Tensor, scale: float, eps: float) -> None:
    delta = scale * torch.randn(images.shape, generator=torch.Generator().manual_seed(1)).double()
    delta[0, 0] = 0
    found = project_in_box(images.double(), delta, eps)
    for image, change, each in zip(images.double().numpy(), delta.numpy(), found.numpy(), strict=True):
        np.testing.assert_allclose(each, bisected(image, change, eps), atol=1e-9)
    assert (found.abs().sum((1, 2, 3)) <= eps + 1e-9).all()
    assert ((images + found >= -1e-12) & (images + found <= 1 + 1e-12)).all()


def test_a_step_changes_the_largest_share_of_the_gradient() -> None:
    gradient = torch.tensor([[4.0, -3, 2, -1, 0.5, 0]]).view(1, 1, 2, 3)
    half = sparse_sign(gradient, torch.tensor([0.5])).flatten()
    torch.testing.assert_close(half, torch.tensor([1.0, -1, 1, 0, 0, 0]) / 3)
    assert sparse_sign(gradient, torch.tensor([0.0])).flatten().tolist() == [1, 0, 0, 0, 0, 0]
    assert (sparse_sign(torch.zeros(1, 1, 2, 3), torch.tensor([0.5])) == 0).all()


def transcribed(
    value: Callable[[Floats], tuple[float, Floats]], image: Floats, start: Floats, eps: float, steps: int
) -> tuple[Floats, float]:
    """One image, one ball: the point of highest loss, and that loss (Croce and Hein, 2021, algorithm 1)."""
    pixels, point = image.size, start
    loss, slope = value(point)
    best, highest, best_slope = point, loss, slope
    changed = np.count_nonzero(point - image)
    share, length = changed / pixels / 1.5, eps
    for step in range(steps):
        threshold = np.sort(np.abs(slope))[int(np.float32(min(max((1 - share) * pixels, 0), pixels - 1)))]
        sign = np.sign(slope) * (np.abs(slope) >= threshold)
        moved = point + length * sign / (np.abs(sign).sum() + 1e-10)
        point = image + bisected(image, moved - image, eps)
        loss, slope = value(point)
        if loss > highest:
            best, highest, best_slope = point, loss, slope
        if (step + 1) % max(int(0.04 * steps), 1) == 0:
            now = np.count_nonzero(best - image)
            if now / changed < 0.95:
                length, point, slope = eps, best, best_slope
            else:
                length = min(max(length / 1.5, eps / 10), eps)
            share, changed = now / pixels / 1.5, now
    return best, highest


@pytest.mark.parametrize("loss", [margin, dlr])
@pytest.mark.parametrize("steps", [1, 11, 60])
def test_the_search_is_that_of_a_plain_transcription(
    plain_model: ModelMaker, images: Tensor, labels: Tensor, steps: int, loss: Callable[[Tensor, Tensor], Tensor]
) -> None:
    model, images, eps = plain_model(torch.float64), images[:3].double(), 2.5
    attack = SimpleNamespace(steps=steps, eps=eps, eot_iter=1, get_logits=model, dlr_loss=loss)
    torch.manual_seed(0)
    found, _, highest, _ = search_in_l1(attack, images, labels[:3])
    torch.manual_seed(0)
    noise = torch.randn(images.shape).double().flatten(1).numpy()
    longer = math.ceil(0.3 * steps) if steps > 4 else 0
    for row in range(3):

        def value(point: Floats, row: int = row) -> tuple[float, Floats]:
            x = torch.from_numpy(point).view(1, 3, 8, 8).requires_grad_()
            reached = loss(model(x), labels[row : row + 1])[0]
            return float(reached.detach()), torch.autograd.grad(reached, x)[0].flatten().numpy()

        image = images[row].flatten().numpy()
        point = image + noise[row]
        for radius, part in ((3, longer), (2, longer), (1, steps - 2 * longer)):
            if part:
                start = image + bisected(image, point - image, radius * eps)
                point, reached = transcribed(value, image, start, radius * eps, part)
        np.testing.assert_allclose(found[row].flatten().numpy(), point, atol=1e-6)
        assert float(highest[row]) == pytest.approx(reached, abs=1e-6)


@pytest.mark.parametrize("attack", [APGDCE(norm="L1", eps=4, steps=12), APGDT(norm="L1", eps=4, steps=9)])
def test_images_are_in_the_ball_and_the_box(attack: APGDCE, plain_model: ModelMaker, images: Tensor) -> None:
    model = plain_model()
    problem = ClassifierProblem(model, model(images).argmax(1))
    adversarial = attack(problem, images)
    size = (adversarial - images).abs().sum((1, 2, 3))
    fooled = problem.success(adversarial)
    assert fooled.any()
    assert (size <= 4 * (1 + 1e-5)).all()
    assert ((adversarial >= 0) & (adversarial <= 1)).all()
    assert torch.equal(adversarial[~fooled], images[~fooled])
    assert attack.name == f"{attack.label}-l1"

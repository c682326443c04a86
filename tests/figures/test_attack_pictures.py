"""Pictures of attacks: what is drawn is what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from sklearn.metrics import confusion_matrix as reference
from torch import Tensor, nn

from gat_lightning.attacks import PGD, ClassifierProblem
from gat_lightning.errors import UserError
from gat_lightning.figures.confusion import confusion_before_and_after, confusion_matrix
from gat_lightning.figures.gallery import adversarial_gallery, attack_panels
from gat_lightning.figures.loss_contour import loss_contour, loss_surface
from gat_lightning.figures.robustness_curve import accuracy_against_eps

CLASSES = ("airplane", "automobile", "bird")


@pytest.fixture(scope="module")
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3))


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def picture(path: Path) -> np.ndarray:
    """Pixels; nothing may touch the edge, where it would be cut off."""
    pixels = imread(path)[..., :3]
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 1).all()
    assert pixels.min() < 0.5
    return pixels


def test_panels(tmp_path: Path, images: Tensor) -> None:
    said = torch.tensor([0, 1, 2, 0])
    for name, adversarial in (("same", images), ("changed", (images + 0.05).clamp(0, 1))):
        path = attack_panels(
            images, adversarial, said, said, said.roll(1), CLASSES, tmp_path / f"{name}.png", title="t"
        )
        picture(path)
    grey = images[:1, :1]
    picture(attack_panels(grey, 1 - grey, said[:1], said[:1], said[:1], CLASSES, tmp_path / "grey.png", title="t"))
    for broken in (said[:2], said[:0]):
        with pytest.raises(UserError, match="one label"):
            attack_panels(images, images, broken, said, said, CLASSES, tmp_path / "no.png", title="t")


@pytest.mark.parametrize("norm", ["Linf", "L2", "L1"])
def test_loss_surface_is_the_loss_of_the_images(tmp_path: Path, model: nn.Module, images: Tensor, norm: str) -> None:
    image = 0.5 + 0.1 * images[0]
    eps = {"Linf": 0.05, "L2": 0.5, "L1": 4.0}[norm]
    label = int(model.eval()(image[None]).argmax())
    model.train()
    attack = PGD(norm=norm, eps=eps, steps=10)
    problem = ClassifierProblem(model, torch.tensor([label]))
    adversarial = attack(problem, image[None])[0]
    surface = loss_surface(model, image, label, adversarial, eps, norm=norm, points=21, batch_size=50)
    assert model.training
    model.eval()
    with torch.no_grad():
        clean, attacked = (problem.loss(x[None]).item() for x in (image, adversarial))
        assert surface.loss[10, 10].item() == pytest.approx(clean, abs=1e-5)
        column = int((surface.adversarial - surface.reached).abs().argmin())
        assert surface.reached == pytest.approx(1, abs=0.3)
        assert surface.loss[10, column].item() == pytest.approx(attacked, rel=0.3)
    assert attacked > surface.loss[:, 10].max()
    assert surface.margin[10, 10] > 0
    assert surface.loss.shape == surface.margin.shape == (21, 21)
    again = loss_surface(model, image, label, adversarial, eps, norm=norm, points=21)
    assert torch.allclose(again.loss, surface.loss, atol=1e-5)
    other = loss_surface(model, image, label, adversarial, eps, norm=norm, points=21, seed=1)
    assert torch.allclose(other.loss[10], surface.loss[10], atol=1e-5)
    assert not torch.allclose(other.loss, surface.loss, atol=1e-3)
    picture(loss_contour(surface, tmp_path / "contour.png", title="image 0"))


def test_loss_surface_refuses(model: nn.Module, images: Tensor) -> None:
    for adversarial, settings in ((images[0], {}), (images[1], {"points": 1}), (images[1], {"reach": 0.0})):
        with pytest.raises(UserError, match="loss contour"):
            loss_surface(model, images[0], 0, adversarial, 0.1, **settings)


def test_confusion(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels, clean, attacked = generator.integers(0, 3, (3, 200))
    assert (confusion_matrix(labels, clean, 3) == reference(labels, clean, labels=range(3))).all()
    assert confusion_matrix([], [], 2).sum() == 0
    picture(confusion_before_and_after(labels, clean, attacked, CLASSES, tmp_path / "names.png", attack="PGD-20"))
    many = [str(index) for index in range(40)]
    picture(confusion_before_and_after(labels, clean, attacked, many, tmp_path / "many.png"))
    for true, said in (([0, 1], [0]), ([0, 3], [0, 1]), ([0, -1], [0, 1])):
        with pytest.raises(UserError, match="confusion matrix"):
            confusion_matrix(true, said, 3)


def test_accuracy_curve(tmp_path: Path) -> None:
    def right(count: int, images: int) -> np.ndarray:
        return np.arange(images) < count

    curves = {
        "GAT": {0.0: right(95, 100), 8 / 255: right(60, 100)},
        "undefended": {0.0: right(97, 100), 8 / 255: right(0, 100)},
    }
    picture(accuracy_against_eps(curves, tmp_path / "curve.png", claimed=8 / 255, title="digits"))
    picture(accuracy_against_eps({"one": {0.0: right(1, 2)}}, tmp_path / "one.png", norm="L2"))
    for broken in ({}, {"a": {}}):
        with pytest.raises(UserError, match="at least one eps"):
            accuracy_against_eps(broken, tmp_path / "no.png")


def test_the_gallery_shows_answers_to_both_images_and_the_scale(
    tmp_path: Path, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that looks at one pixel alone, whose class an attack of 0.2 turns."""

    class OnePixel(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            lit = x[:, 0, 0, 0] - 0.4
            return torch.stack([-lit, lit], 1)

    shown: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: shown.append(figure))
    pictures = images[:2].clone()
    pictures[:, 0, 0, 0] = torch.tensor([0.1, 0.5])
    attack = PGD(eps=0.2, steps=5, random_start="none")
    adversarial_gallery(OnePixel(), pictures, torch.tensor([0, 1]), ["off", "on"], attack, tmp_path / "x.png")
    titles = [axes.get_title() for axes in shown[0].axes]
    assert titles == ["says off", "says on", "", "", "says off", "says off"]
    assert [axes.get_xlabel() for axes in shown[0].axes[4:]] == ["is off", "is on"]
    colours = [axes.title.get_color() for axes in shown[0].axes]
    assert colours[0] == colours[1] == colours[4] != colours[5]
    assert shown[0].axes[2].get_ylabel().split() == ["perturbation", "±51/255"]

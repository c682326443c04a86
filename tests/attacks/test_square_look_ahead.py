"""Square in L-infinity: several queries of an image in one pass give the images of one query at a time."""

import pytest
import torch
import torchattacks
from torch import Tensor, nn

from gat_lightning.attacks import ClassifierProblem, Square


class Counted(nn.Module):
    """A classifier that counts its passes and the images in them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        return self.model(images)


def classifier(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 5 * 4, 3)).double().eval()


@pytest.mark.parametrize("restarts", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_the_images_are_those_of_torchattacks(seed: int, restarts: int) -> None:
    model, images = classifier(seed), torch.rand(9, 2, 7, 6, dtype=torch.float64)
    labels = model(images).argmax(1)
    labels[0] = (labels[0] + 1) % 3  # misclassified to begin with
    settings = {"eps": 0.12, "seed": seed}
    ours = Square(queries=60, restarts=restarts, **settings)(ClassifierProblem(model, labels), images)
    theirs = torchattacks.Square(model, n_queries=60, n_restarts=restarts, **settings)(images, labels)
    fooled = model(ours).argmax(1) != labels
    assert 1 < fooled.sum() < len(images)
    assert torch.equal(ours, theirs)


def test_fewer_passes_for_few_images_that_withstand() -> None:
    model, images = Counted(classifier(0)), torch.rand(3, 2, 7, 6, dtype=torch.float64)
    labels = model(images).argmax(1)
    model.sizes.clear()
    Square(queries=400, eps=1e-4, seed=0)(ClassifierProblem(model, labels), images)
    assert len(model.sizes) < 200
    assert max(model.sizes) <= 1024
    assert sum(model.sizes) <= 1.25 * 3 * 400 + 10


def test_large_images_are_queried_one_at_a_time() -> None:
    torch.manual_seed(0)
    model = Counted(nn.Sequential(nn.AvgPool2d(56), nn.Flatten(), nn.Linear(48, 3)).eval())
    images = torch.rand(4, 3, 224, 224)
    labels = model(images).argmax(1)
    model.sizes.clear()
    Square(queries=20, eps=1e-4, seed=0)(ClassifierProblem(model, labels), images)
    assert max(model.sizes) == 4

"""Honest classifiers of the bundled digits and four that cheat, for the audit."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from gat_lightning.attacks import PGD, ClassifierProblem
from gat_lightning.data import Digits
from gat_lightning.randomness import BatchGenerator, Shard

EPS = 0.1


@cache
def digits(count: int = 200) -> tuple[Tensor, Tensor]:
    """Test images in [0, 1] and their classes."""
    test = Digits().load().test
    return test.images[:count].float() / 255, test.labels["class"][:count]


@cache
def trained(adversarial: bool, seed: int = 0, epochs: int = 10) -> nn.Module:
    """A small convolutional network after a few epochs, of adversarial training or of the plain kind; in eval mode."""
    train = Digits().load().train
    images, labels = train.images.float() / 255, train.labels["class"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 10),
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
        batches = len(images) // 64
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=epochs * batches)
        attack = PGD(eps=EPS, steps=5)
        for epoch in range(epochs):
            order = torch.randperm(len(images))
            for step in range(batches):
                chosen = order[64 * step : 64 * (step + 1)]
                x, y = images[chosen], labels[chosen]
                if adversarial:
                    generator = BatchGenerator(Shard.whole(len(x)), seed, epoch, step)
                    x = attack(ClassifierProblem(model, y), x, generator)
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
                schedule.step()
    return model.eval()


class Quantised(nn.Module):
    """Rounds pixels to multiples of 1 / levels: no gradient at all."""

    def __init__(self, model: nn.Module, levels: int) -> None:
        super().__init__()
        self.model, self.levels = model, levels

    def forward(self, images: Tensor) -> Tensor:
        return self.model((images * self.levels).round() / self.levels)


class RandomResize(nn.Module):
    """Shrinks images to a random size and puts them at a random place."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        whole = images.shape[-1]
        size = int(torch.randint(whole - 2, whole + 1, ()))
        left = int(torch.randint(whole - size + 1, ()))
        small = nn.functional.interpolate(images, size=(size, size), mode="bilinear")
        right = whole - size - left
        return self.model(nn.functional.pad(small, (left, right, left, right)))


class Scaled(nn.Module):
    """Multiplies the logits, so that the softmax saturates."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * self.model(images)


class HardStep(nn.Module):
    """Makes pixels black or white."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model((images > 0.5).to(images.dtype))

"""The work that all contestants do: model, data, tasks and settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from gat_lightning.batch import Batch
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.models import MultiTaskModel, preact_resnet18, preact_resnet50, preact_resnet_small
from gat_lightning.randomness import BatchGenerator, Shard, generator_for
from gat_lightning.tasks import Classification, Macro, Rotation, Task

ENCODERS = {f.__name__: f for f in (preact_resnet_small, preact_resnet18, preact_resnet50)}
EPS = 8 / 255
STEP_SIZE = EPS / 4
LR, MOMENTUM = 0.01, 0.9
TASKS = ("class", "macro", "rotation")
ROUND_DIGITS = (0, 6, 8, 9)


@dataclass(frozen=True)
class Work:
    """Settings of a comparison, the same for every contestant.

    Attributes:
        encoder: name of the classifier, see :data:`ENCODERS`.
        width: of its first stage.
        batch: images in a step.
        size: side of the images in pixels, a multiple of 8.
        steps: of PGD.
        threads: of torch; 0 leaves them as they are.
        seed: of weights, data order, attacks and rotations.
        device: ``cpu`` or ``cuda``.
        dtype: of weights and images.
        random_start: whether the attack begins at a random point.
    """

    encoder: str = "preact_resnet18"
    width: int = 32
    batch: int = 32
    size: int = 32
    steps: int = 10
    threads: int = 2
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    random_start: bool = True

    @property
    def info(self) -> DataInfo:
        """Three channels of pixels, ten classes and two macro classes."""
        labels = {"class": LabelInfo(tuple("0123456789")), "macro": LabelInfo(("open", "round"))}
        return DataInfo("digits", (3, self.size, self.size), (0.5,) * 3, (0.25,) * 3, labels)

    def tasks(self, names: Sequence[str] = TASKS) -> list[Task]:
        """Class, macro class and rotation: 10, 2 and 4 classes, on a shared view; or some of them."""
        tasks: list[Task] = [Classification("class"), Macro(), Rotation()]
        chosen = [task for task in tasks if task.name in names]
        for task in chosen:
            task.setup(self.info)
        return chosen

    def model(self, tasks: Sequence[str] = TASKS) -> MultiTaskModel:
        """The model of the tasks in train mode; equal weights in every call."""
        torch.manual_seed(self.seed)
        info = self.info
        classifier = ENCODERS[self.encoder](
            num_classes=10, image=info.image, mean=info.mean, std=info.std, width=self.width
        )
        model = MultiTaskModel(classifier, "class", info.image, self.tasks(tasks)[1:])
        return model.to(self.device, getattr(torch, self.dtype)).train()

    def data(self, index: int) -> Batch:
        """The batch of step ``index``: handwritten digits, enlarged, in three equal channels."""
        images, labels = digits(self.size)
        chosen = torch.randint(len(images), (self.batch,), generator=generator_for(self.seed, "data", index))
        classes = labels[chosen]
        macro = torch.isin(classes, torch.tensor(ROUND_DIGITS)).long()
        return Batch(
            images[chosen].to(getattr(torch, self.dtype)),
            {"class": classes, "macro": macro},
            torch.arange(self.batch),
            Shard.whole(self.batch),
            in_range=True,
        ).to(self.device)

    def turns(self, index: int) -> Tensor:
        """Quarter turns of each image in step ``index``, those that :class:`Rotation` draws in a training step."""
        generator = BatchGenerator(Shard.whole(self.batch), self.seed, 0, index, "rotation")
        return generator.integers(4, self.device)

    def to_json(self) -> str:
        """For another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Work:
        """What :meth:`to_json` wrote."""
        return cls(**json.loads(text))


def optimizer(parameters: Iterator[nn.Parameter]) -> torch.optim.SGD:
    """What every contestant steps with."""
    return torch.optim.SGD(parameters, lr=LR, momentum=MOMENTUM)


@cache
def digits(size: int) -> tuple[Tensor, Tensor]:
    """The handwritten digits, enlarged, in three equal channels ``[N, 3, size, size]``, and their labels ``[N]``."""
    data = load_digits()
    images = torch.tensor(data.images / 16, dtype=torch.float32).unsqueeze(1)
    enlarged = nn.functional.interpolate(images, scale_factor=size // 8, mode="bilinear")
    return enlarged.clamp(0, 1).repeat(1, 3, 1, 1), torch.tensor(data.target).long()

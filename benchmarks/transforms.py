"""Rotation and jigsaw of a whole batch against a plain loop over its images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.timing import Tick, Times, interleaved, repeated
from benchmarks.work import Work
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import Jigsaw, Rotation

BATCH = 256
REPEATS = 20


def rotation_loop(images: Tensor, turns: Tensor) -> Tensor:
    """Rotate image by image."""
    return torch.stack([torch.rot90(image, int(turn), (1, 2)) for image, turn in zip(images, turns, strict=True)])


def jigsaw_loop(images: Tensor, labels: Tensor, permutations: Tensor, grid: int) -> Tensor:
    """Cut, permute and put together image by image."""
    scrambled = []
    for image, label in zip(images, labels, strict=True):
        pieces = [piece for row in image.chunk(grid, 1) for piece in row.chunk(grid, 2)]
        chosen = [pieces[int(place)] for place in permutations[int(label)]]
        rows = [torch.cat(chosen[start : start + grid], dim=2) for start in range(0, grid * grid, grid)]
        scrambled.append(torch.cat(rows, dim=1))
    return torch.stack(scrambled)


def compare(work: Work, rounds: int, tick: Tick) -> Times:
    """Times of 20 batches of 256 images; the labels are drawn anew in each, by both.

    Raises:
        AssertionError: loop and task give different images.
    """
    images = torch.rand(BATCH, *work.info.image, generator=torch.Generator().manual_seed(work.seed))
    rotation, jigsaw = Rotation(), Jigsaw()
    for task in (rotation, jigsaw):
        task.setup(work.info)

    def generator(index: int) -> BatchGenerator:
        return BatchGenerator(Shard.whole(BATCH), work.seed, index)

    def looped_rotation(index: int) -> Tensor:
        return rotation_loop(images, rotation.label(images, {}, generator(index)))

    def looped_jigsaw(index: int) -> Tensor:
        return jigsaw_loop(images, jigsaw.label(images, {}, generator(index)), jigsaw.permutations, jigsaw.grid)

    steps: dict[str, Callable[[int], Tensor]] = {
        "rotation": lambda index: rotation.prepare(images, {}, generator(index))[0],
        "rotation, loop": looped_rotation,
        "jigsaw": lambda index: jigsaw.prepare(images, {}, generator(index))[0],
        "jigsaw, loop": looped_jigsaw,
    }
    for name in ("rotation", "jigsaw"):
        if not torch.equal(steps[name](0), steps[f"{name}, loop"](0)):
            raise AssertionError(f"{name} differs from the loop")
    return interleaved({name: repeated(step, REPEATS) for name, step in steps.items()}, rounds, tick)

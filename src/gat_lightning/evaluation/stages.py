"""Stages of an ensemble such as AutoAttack: what each of its attacks leaves of the images, also as a text log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gat_lightning.attacks import Ensemble

_OFFICIAL = {"fab": "fab-t"}
"""Names of attacks in the official code of AutoAttack, where they are not ours with a hyphen."""


class Perturbed(NamedTuple):
    """How many images of a batch an attack was given, and how many it fooled."""

    fooled: int
    attacked: int


@dataclass
class Stage:
    """One attack of an ensemble.

    Attributes:
        attack: its name, such as ``apgd_ce``.
        left: number of images that are classified correctly after it.
        accuracy: these over all images.
        seconds: that it took, those before an interruption included.
        batches: the batches that had images left for it.
    """

    attack: str
    left: int = 0
    accuracy: float = 0.0
    seconds: float = 0.0
    batches: list[Perturbed] = field(default_factory=list)

    @property
    def attacked(self) -> int:
        """Number of images that it was given."""
        return sum(batch.attacked for batch in self.batches)

    def record(self) -> dict[str, Any]:
        """The stage as ``result.json`` keeps it."""
        return {
            "attack": self.attack,
            "attacked": self.attacked,
            "left": self.left,
            "accuracy": self.accuracy,
            "seconds": self.seconds,
        }


class Extent(NamedTuple):
    """Of all images, clean ones where no attack succeeded: the largest perturbation and the range of the pixels."""

    perturbation: float
    highest: float
    lowest: float


def autoattack_log(attack: Ensemble, clean_accuracy: float, stages: Sequence[Stage], extent: Extent) -> Iterator[str]:
    """Lines of the official AutoAttack's log, as RobustBench keeps them."""
    suffix = f"-{attack.norm.name.lower()}"
    names = [stage.attack.removesuffix(suffix) for stage in stages]
    names = [_OFFICIAL.get(name, name.replace("_", "-")) for name in names]
    yield f"using {attack.version} version including {', '.join(names)}."
    yield f"initial accuracy: {clean_accuracy:.2%}"
    seconds, accuracy = 0.0, clean_accuracy
    for name, stage in zip(names, stages, strict=True):
        for number, batch in enumerate(stage.batches, 1):
            where = f"{name} - {number}/{len(stage.batches)}"
            yield f"{where} - {batch.fooled} out of {batch.attacked} successfully perturbed"
        seconds, accuracy = seconds + stage.seconds, stage.accuracy
        yield f"robust accuracy after {name.upper()}: {accuracy:.2%} (total time {seconds:.1f} s)"
    yield (
        f"max {attack.norm.name} perturbation: {extent.perturbation:.5f}, nan in tensor: 0,"
        f" max: {extent.highest:.5f}, min: {extent.lowest:.5f}"
    )
    yield f"robust accuracy: {accuracy:.2%}"

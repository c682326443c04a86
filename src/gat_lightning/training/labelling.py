"""Labels that a teacher gives to training images before a training."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from gat_lightning.batch import Batch, decide, has_label, missing_labels
from gat_lightning.data import ImageDataModule
from gat_lightning.data.dataset import SplitDataset
from gat_lightning.data.stored import scaled
from gat_lightning.distributed import of_rank_0, to_device
from gat_lightning.errors import UserError
from gat_lightning.models.digest import weights_digest
from gat_lightning.models.encoding import full_precision
from gat_lightning.tasks import Task
from gat_lightning.training.given_labels import GivenLabels, read_labels, write_labels
from gat_lightning.training.pseudo_labels import Labelling, TargetLabels, class_probabilities

log = logging.getLogger(__name__)

# A confidence that leaves labels to a smaller part of the images may not be meant.
_FEW = 0.5


@dataclass(frozen=True)
class Teacher:
    """A classifier that labels images.

    Attributes:
        name: in messages and ``result.json``.
        model: images ``[B, C, H, W]`` in [0, 1] -> outputs of the target.
    """

    name: str
    model: nn.Module

    @property
    def digest(self) -> str:
        """SHA-256 of its weights and buffers."""
        return weights_digest(self.model.state_dict())


class TeacherLabels(TargetLabels):
    """Labels that a teacher gives at the beginning of a training, to the plain images, in eval mode.

    Rank 0 makes them, or reads them from the run's file where these are the same teacher's.

    Args:
        target: with classes.
        labelling: how the teacher's probabilities become labels.
        teacher: a classifier of the target.
        path: the file that the run keeps them in.
        micro_batch: most images that go through the model at once; the size of a batch if None.
        resumed: whether the training goes on, and so has to have the labels of the file if there is one.
    """

    def __init__(
        self,
        target: Task,
        labelling: Labelling,
        teacher: Teacher,
        path: Path,
        micro_batch: int | None = None,
        resumed: bool = False,
    ) -> None:
        super().__init__(target, labelling)
        self._resumed = resumed
        self._teacher, self._path, self._micro_batch = teacher, path, micro_batch
        self._table = torch.empty(0)
        self._digest = ""

    def setup(self, trainer: pl.Trainer) -> None:
        """Make or read the labels.

        Raises:
            UserError: no training image lacks its label, or the run to resume was trained on labels of another teacher
                or for other images.
        """
        given = of_rank_0(self._given(trainer) if trainer.is_global_zero else None)
        data = _data_of(trainer)
        assert given is not None
        labels = self.labelling.labels(given.probabilities)
        self._table = missing_labels(labels, len(data.training_split()))
        self._table[given.index] = labels
        self._digest = given.digest
        self.summary = self._summary(given, int(has_label(labels).sum()))
        if trainer.is_global_zero:
            log.info("%s", _told(self.summary))
            self._warn_of_few()

    def _warn_of_few(self) -> None:
        labelled, images = self.summary["labelled"], self.summary["images"]
        if labelled < _FEW * images:
            log.warning(
                "unlabeled.confidence=%g leaves labels to %s of %s images. The others teach the target nothing by"
                " pseudo-labels, and the teacher's mean confidence is %.3f: lower it, unless this is meant.",
                self.labelling.confidence,
                f"{labelled:,}",
                f"{images:,}",
                self.summary["confidence"],
            )

    def labels(self, batch: Batch) -> Tensor:
        """Those of the samples' positions in the training split."""
        self._table = to_device(self._table, batch.index.device)
        return self._table[batch.index]

    def state(self) -> str:
        """A digest of teacher and labels."""
        return self._digest

    def check_state(self, state: str) -> None:
        """Raise `UserError` if the training of a checkpoint had other labels."""
        if state and state != self._digest:
            raise UserError(
                "The run to resume was trained on other pseudo-labels than these: go on with the teacher and the images"
                " that it had, or begin a new run."
            )

    def _given(self, trainer: pl.Trainer) -> GivenLabels:
        data, device = _data_of(trainer), trainer.strategy.root_device
        index = lacking(data, self.target)
        images = _digest(data.training_split(), index)
        kept = read_labels(self._path) if self._path.is_file() else None
        of_these = kept is not None and torch.equal(kept.index, index) and kept.images == images
        if kept is not None and kept.teacher == self._teacher.digest and of_these:
            return kept
        if kept is not None and self._resumed:
            raise UserError(
                f"{self._path} has labels of another teacher, or of other images: a run resumes with those that it has"
                " been trained on. Give unlabeled.teacher and data.unlabeled the files that they named then, or begin a"
                " new run."
            )
        given = self._made(data, index, images, device)
        write_labels(self._path, given)
        return given

    def _made(self, data: ImageDataModule, index: Tensor, images: str, device: torch.device) -> GivenLabels:
        size = self._micro_batch or data.batch_size
        model = self._teacher.model.eval().to(device)
        split, held_out = data.training_split(), data.split("val")
        outputs = _outputs(model, split, index, size, device)
        label = held_out.labels[self.target.name].cpu()
        scored = has_label(label).nonzero().flatten()
        right = decide(_outputs(model, held_out, scored, size, device)) == label[scored]
        accuracy = float(right.double().mean()) if len(scored) else None
        model.cpu()  # the training needs the memory
        return GivenLabels(index, class_probabilities(self.target, outputs), self._teacher.digest, images, accuracy)

    def _summary(self, given: GivenLabels, labelled: int) -> dict[str, Any]:
        confidence = given.probabilities.amax(1)
        return {
            "teacher": self._teacher.name,
            "digest": given.teacher,
            "validation_accuracy": given.accuracy,
            "confidence": float(confidence.nanmean()),
            "images": len(confidence),
            "labelled": labelled,
        }


def lacking(data: ImageDataModule, target: Task) -> Tensor:
    """Positions of the training images without the target's label, long ``[n]``.

    Raises:
        UserError: there are none.
    """
    index = (~has_label(data.training_split().labels[target.name])).nonzero().flatten().cpu()
    if not len(index):
        raise UserError(
            f"unlabeled.mode: all training images have the label '{target.name}': set data.unlabeled to where there are"
            " images without it, or unlabeled.mode=off."
        )
    return index


def _digest(split: SplitDataset, positions: Tensor) -> str:
    """BLAKE2b of the images at some positions."""
    found = blake2b(digest_size=16)
    for part in split.contents(positions):
        found.update(part)
    return found.hexdigest()


@torch.no_grad()
def _outputs(model: nn.Module, split: SplitDataset, positions: Tensor, size: int, device: torch.device) -> Tensor:
    """Outputs of a model in eval mode for plain images of a split, ``[n, K]`` on the CPU; NaN for unreadable ones."""
    outputs = []
    with full_precision(device):
        for images, readable in _images(split, positions, size, device):
            output = model(images).float().cpu()
            outputs.append(torch.where(readable[:, None], output, torch.nan))
    return torch.cat(outputs) if outputs else torch.empty(0, 1)


def _images(split: SplitDataset, positions: Tensor, size: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Images of a split, at most ``size`` at a time, and which of them could be read."""
    for part in positions.split(size):
        mark = {"readable": torch.zeros(len(part), dtype=torch.long, device=split.rows.device)}
        pixels = split.pixels(split.rows[part.to(split.rows.device)], mark)
        yield scaled(to_device(pixels, device)), (mark["readable"] == 0).cpu()


def _data_of(trainer: pl.Trainer) -> ImageDataModule:
    data = getattr(trainer, "datamodule", None)
    if not isinstance(data, ImageDataModule):
        raise UserError(
            "Pseudo-labels are those of a data module's training images: call trainer.fit(module, datamodule=...) with"
            " an ImageDataModule."
        )
    return data


def _told(summary: dict[str, Any]) -> str:
    accuracy = summary["validation_accuracy"]
    right = "" if accuracy is None else f" is right on {accuracy:.1%} of the validation images. It"
    return (
        f"Pseudo-labels: the teacher ({summary['teacher']}){right} labels {summary['labelled']:,} of"
        f" {summary['images']:,} images, with a mean confidence of {summary['confidence']:.3f}."
    )

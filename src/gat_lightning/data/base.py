"""Base class of all data sets: settings, loaders and augmentation."""

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor

from gat_lightning.augment.base import Augmentation, EpochAugmenter
from gat_lightning.batch import Batch
from gat_lightning.data.dataset import JoinedDataset, SplitDataset
from gat_lightning.data.duplicates import Place, equal_images
from gat_lightning.data.loader import BatchLoader, TrainingLoader
from gat_lightning.data.macro import macro_label, macro_of_class
from gat_lightning.data.sampler import (
    EvaluationBatchSampler,
    JointBatchSampler,
    MixedBatchSampler,
    OrderSettings,
    steps_of_longer,
)
from gat_lightning.data.settings import check_target
from gat_lightning.data.unlabeled import OWN, REST, read_unlabeled, unlabeled_source, with_unlabeled
from gat_lightning.errors import SettingError, UserError
from gat_lightning.info import DataInfo, LabelInfo, PatientSplit
from gat_lightning.validate import check_int, check_real

Macro = Mapping[str, Sequence[int | str]]
"""``{macro class: [class indices or names]}``."""


class ImageDataModule(pl.LightningDataModule, ABC):
    """Data module of batches of images in [0, 1] with labels: all of them, or those that the trainer's module reads.

    Validation images are held out from the training images. ``fraction`` then applies to both, so that a 10 % scenario
    uses 10 % of all images. Both draws depend only on ``seed`` and the labels; those of patients are described at
    :class:`~gat_lightning.data.chest.ChestXrays`. All test images are always used.

    Args:
        target: label of the target task.
        batch_size: size of the joined batch of all ranks, in training and evaluation.
        fraction: fraction of the training and validation images to use, in (0, 1].
        val_fraction: fraction of the training images held out for validation, in (0, 1).
        workers: number of loading processes; 0 loads in the main process, from GPU memory if the images fit.
        seed: seed of the splits, the order and the augmentation.
        macro: macro classes, from which the label ``macro`` is derived; ``None`` for no such label.
        augment: augmentation of training images, applied on the device.
        extra: file of extra training images, which only :class:`~gat_lightning.data.array_base.ArrayDataModule`
            supports.
        unlabeled: training images without the target's label, see :mod:`gat_lightning.data.unlabeled`: ``own``,
            ``rest``, a file or a folder; ``None`` or ``False`` for none. An evaluation does not read them.
        unlabeled_fraction: fraction of unlabelled images in each joined training batch, in (0, 1).
        epoch_images: number of images in an epoch, rounded up to full batches. By default an epoch is a pass over the
            training images; with unlabelled ones, over the part that needs more joined batches.

    Raises:
        UserError: a setting is out of range. Settings that depend on the data are checked by :attr:`info`.
    """

    binary_labels: ClassVar[tuple[str, ...]] = ()
    """Names of the binary labels. Each is a task of that name, ``task=NAME``, without a YAML file."""

    def __init__(
        self,
        *,
        target: str = "class",
        batch_size: int = 128,
        fraction: float = 1.0,
        val_fraction: float = 0.1,
        workers: int = 0,
        seed: int = 0,
        macro: Macro | None = None,
        augment: Augmentation | None = None,
        extra: str | os.PathLike[str] | None = None,
        unlabeled: str | os.PathLike[str] | bool | None = None,
        unlabeled_fraction: float = 0.5,
        epoch_images: int | None = None,
    ) -> None:
        super().__init__()
        if extra is not None:
            raise SettingError("extra", str(extra), f"left out: {type(self).__name__} is not made of arrays")
        check_int("batch_size", batch_size, 2)  # BatchNorm needs two images
        check_int("workers", workers, 0)
        check_real("fraction", fraction, 0, 1, closed="right")
        check_real("val_fraction", val_fraction, 0, 1, closed="neither", example=0.1)
        self.unlabeled = unlabeled_source(unlabeled)
        if self.unlabeled == REST and fraction == 1:
            raise SettingError("unlabeled", REST, "left out: fraction=1 leaves out no training image")
        check_real("unlabeled_fraction", unlabeled_fraction, 0, 1, closed="neither", example=0.5)
        check_int("epoch_images", epoch_images, also=(None,))
        self.unlabeled_fraction, self.epoch_images = unlabeled_fraction, epoch_images
        self.target, self.batch_size, self.workers, self.seed = target, batch_size, workers, seed
        self.fraction, self.val_fraction = fraction, val_fraction
        self.macro, self.augment = macro, augment
        self._datasets: dict[str, SplitDataset] = {}

    @property
    def patient_split(self) -> PatientSplit | None:
        """Settings that decide which patient is in which split; None if the data are not split by patient."""
        return None

    @abstractmethod
    def describe(self) -> DataInfo:
        """Description of the data set without macro classes, if possible before any large file is read."""

    @cached_property
    def info(self) -> DataInfo:
        """Description of the data set; available before :meth:`setup`.

        Raises:
            UserError: the data set has no label ``target``, or ``macro`` does not fit its classes.
        """
        info = self.describe()
        if self.macro is not None:
            if "class" not in info.labels:
                raise UserError(f"data.macro: {info.name} has no classes to make macro classes of; set it to null")
            macro_of_class(self.macro, info.labels["class"].classes)
            info = replace(info, labels=self._with_macro_info(info.labels))
        check_target(self.target, info)
        return info

    def _with_macro_info(self, labels: dict[str, LabelInfo]) -> dict[str, LabelInfo]:
        """The labels, with ``macro`` if there are macro classes."""
        return labels if self.macro is None else {**labels, "macro": LabelInfo(tuple(map(str, self.macro)))}

    def _with_macro(self, labels: dict[str, Tensor], classes: Sequence[str]) -> dict[str, Tensor]:
        """The labels, with ``macro`` if there are macro classes."""
        if self.macro is None:
            return labels
        return {**labels, "macro": macro_label(labels["class"], macro_of_class(self.macro, classes))}

    @abstractmethod
    def setup(self, stage: str | None = None) -> None:
        """Create the splits; a second call does nothing.

        Raises:
            UserError: files are missing or damaged; the message names them and the remedy.
        """

    def left_out(self) -> Sequence[str]:
        """Names of the files in the data set's folder that are not read, as they are no pictures by their ending."""
        return ()

    def equal_pictures(self) -> list[list[Place]]:
        """Equal pictures of all splits, in groups of at least two, by their pixels before augmentation."""
        self.setup()
        splits = self._compared()
        places = [Place(name, position) for name, split in splits.items() for position in range(len(split))]
        return [[places[position] for position in group] for group in equal_images(splits.values())]

    def _compared(self) -> dict[str, SplitDataset]:
        return self._datasets

    def picture_name(self, place: Place) -> str:
        """Name of a picture in messages."""
        return f"{place.split} image {place.position}"

    def label_infos(self) -> dict[str, LabelInfo]:
        """The labels in a batch, by name."""
        return self.info.labels

    def split_labels(self) -> dict[str, dict[str, Tensor]]:
        """Labels of every split, by split and name."""
        self.setup()
        return {name: dataset.labels for name, dataset in self._datasets.items()}

    def _device(self) -> torch.device:
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def _labels_read(self) -> Collection[str] | None:
        """Names of the labels that the trainer's module looks up; None if that is unknown."""
        return None if self.trainer is None else getattr(self.trainer.lightning_module, "labels_read", None)

    def split(self, name: str) -> SplitDataset:
        """The split ``train``, ``val`` or ``test``, after :meth:`setup`."""
        return self._datasets[name]

    def groups(self, split: str) -> Tensor | None:
        """Numbers of the patients of a split's n images, after :meth:`setup`.

        Returns:
            Long ``[n]`` in the order of the split, equal for images of one patient and different for those of others in
            all splits; None where every image stands for itself.
        """
        return None

    def _ranks(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _batches_done(self) -> int:
        if self.trainer is None or not self.trainer.training:
            return 0
        return self.trainer.fit_loop.epoch_loop.batch_progress.current.ready

    def train_dataloader(self) -> TrainingLoader:
        """This rank's part of the joined training batches, not yet augmented; the order changes every epoch.

        With ``Trainer(overfit_batches=...)`` the order is fixed, so that every epoch has the same batches.
        """
        sampler = self.training_sampler(reshuffle=not getattr(self.trainer, "overfit_batches", 0))
        return TrainingLoader(
            self.training_split(), sampler, self.workers, self._batches_done, self._device(), self._labels_read()
        )

    def training_split(self) -> SplitDataset:
        """Source of the training batches: the split ``train``, followed by further images if there are any.

        Raises:
            UserError: their source is missing or damaged, does not fit these data, or has validation or test images.
        """
        return self.split("train") if self._with_further is None else self._with_further

    def training_sampler(self, reshuffle: bool = True) -> JointBatchSampler:
        """This rank's part of the joined training batches, as positions in :meth:`training_split`.

        Args:
            reshuffle: whether the order changes every epoch.
        """
        labelled, steps = len(self.split("train")), self._steps()
        further = len(self.training_split()) - labelled
        rank, ranks = self._ranks()
        settings: OrderSettings = {"rank": rank, "ranks": ranks, "reshuffle": reshuffle, "steps": steps}
        if not further:
            return JointBatchSampler(labelled, self.batch_size, self.seed, **settings)
        setting = self._further_fraction
        fraction = getattr(self, setting)
        return MixedBatchSampler(
            labelled, further, fraction, self.batch_size, self.seed, setting=f"data.{setting}", **settings
        )

    _further_fraction = "unlabeled_fraction"

    def _steps(self) -> int | None:
        """Number of joined batches in an epoch; None if that is one pass over the split ``train``."""
        if self.epoch_images is not None:
            return -(-self.epoch_images // self.batch_size)
        if self.unlabeled is None:
            return None
        labelled = len(self.split("train"))
        unlabelled = len(self.training_split()) - labelled
        return steps_of_longer(labelled, unlabelled, self.unlabeled_fraction, self.batch_size)

    @cached_property
    def _with_further(self) -> JoinedDataset | None:
        """The split ``train`` followed by the unlabelled images, whose target's label is missing."""
        if self.unlabeled is None:
            return None
        held_out = {"validation": self.split("val"), "test": self.split("test")}
        return with_unlabeled(self.split("train"), self._unlabeled_images(), held_out, self.target, self.unlabeled)

    def _unlabeled_images(self) -> SplitDataset:
        if self.unlabeled == REST:
            return self.split(REST)
        if self.unlabeled == OWN:
            return self.own_unlabeled()
        assert isinstance(self.unlabeled, Path)
        return read_unlabeled(self.unlabeled, self.info, self._ranks()[0] == 0)

    def own_unlabeled(self) -> SplitDataset:
        """Images of the data set that have no label, after :meth:`setup`.

        Raises:
            UserError: there are none.
        """
        raise UserError(
            f"data.unlabeled=own: {self.info.name} has no images without labels; use rest, a file or a folder"
        )

    def _used_parts(self, parts: dict[str, Tensor]) -> dict[str, Tensor]:
        """The splits, without ``rest`` if nobody asked for it."""
        return {name: rows for name, rows in parts.items() if name != REST or self.unlabeled == REST}

    def val_dataloader(self) -> BatchLoader:
        """This rank's part of the validation images."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> BatchLoader:
        """This rank's part of the test images."""
        return self._evaluation_loader("test")

    def _evaluation_loader(self, split: str) -> BatchLoader:
        dataset = self.split(split)
        sampler = EvaluationBatchSampler(len(dataset), self.batch_size, *self._ranks())
        return BatchLoader(dataset, sampler, self.workers, self._device(), self._labels_read())

    @cached_property
    def _augmenter(self) -> EpochAugmenter | None:
        if self.augment is None:
            return None
        return EpochAugmenter(self.augment, len(self.training_split()), self.seed)

    def augmented(self, batch: Batch, epoch: int) -> Batch:
        """Augment a training batch of an epoch on its device. The result does not depend on rank and batch."""
        augmenter = self._augmenter
        if augmenter is None:
            return batch
        return batch.moved(lambda pixels: augmenter(pixels, batch.index, epoch, batch.visits))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment the batch if the trainer is training."""
        if self.trainer is None or not self.trainer.training:
            return batch
        return self.augmented(batch, self.trainer.current_epoch)

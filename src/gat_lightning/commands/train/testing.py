"""Test of a trained model: its scores with intervals, and a picture."""

import logging
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch

from gat_lightning.attacks.problem import BinaryProblem, ClassifierProblem
from gat_lightning.data import ImageDataModule
from gat_lightning.data.drawing import draw_images
from gat_lightning.errors import UserError
from gat_lightning.evaluation.doubts import (
    OutputCheck,
    few_labelled_images,
    non_finite_outputs,
    one_class_for_all,
    zero_gradients,
)
from gat_lightning.evaluation.predictions import Predictions, consecutive, score
from gat_lightning.figures.gallery import adversarial_gallery
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import CLEAN
from gat_lightning.runs.result import ViewCheck
from gat_lightning.training.module import GATModule

log = logging.getLogger(__name__)

_SHOWN = 8


class CheckpointScores(NamedTuple):
    """Result of :func:`test`, by checkpoint.

    Attributes:
        metrics: value of each metric, and the epoch.
        checks: what the outputs were, by view.
        intervals: 95 % interval ``[low, high]`` of each of the target's metrics; on rank 0.
        patients: number of patients that the intervals are over; None if they are over images.
    """

    metrics: dict[str, dict[str, float]]
    checks: dict[str, dict[str, OutputCheck]]
    intervals: dict[str, dict[str, list[float]]]
    patients: int | None

    @property
    def labelled(self) -> int:
        """Number of images in the scores: those in the tested batches that have the target's label."""
        return next(iter(self.checks.values()))[CLEAN].images

    def view_checks(self) -> dict[str, dict[str, ViewCheck]]:
        """The checks as ``result.json`` keeps them."""
        return {name: {view: check.record() for view, check in views.items()} for name, views in self.checks.items()}


def test(trainer: pl.Trainer, module: GATModule, data: ImageDataModule, directory: RunDirectory) -> CheckpointScores:
    """Test every checkpoint that the run wrote, clean and under attack; the module keeps the best one's weights.

    Raises:
        UserError: it wrote none.
    """
    names = [name for name in ("best", "last", "ema", "swa") if directory.checkpoint(name).is_file()]
    if not names:
        raise UserError(
            f"The training has left no checkpoint in '{directory.checkpoints}', so there is nothing to test. The"
            " callbacks best and last write them: add them by callbacks=default+..."
        )
    metrics, checks, intervals, patients = {}, {}, {}, None
    for name in reversed(names):
        checkpoint = torch.load(directory.checkpoint(name), map_location=module.device, weights_only=True)
        module.load_state_dict(checkpoint["state_dict"])
        scores = trainer.test(module, datamodule=data, verbose=False)[0]
        metrics[name] = {"epoch": int(checkpoint["epoch"]) + 1, **scores}
        checks[name] = module.checks
        if trainer.is_global_zero and module.predictions is not None:
            _add_patients(module.predictions, data)
            found = score(module.predictions, "test").intervals
            intervals[name] = {str(metric): ends for metric, ends in found.items()}
            patients = module.predictions.patients
    return CheckpointScores(
        {name: metrics[name] for name in names},
        {name: checks[name] for name in names},
        {name: intervals[name] for name in names if name in intervals},
        patients,
    )


def _add_patients(predictions: Predictions, data: ImageDataModule) -> None:
    """Say which patient each image is of, where the data say so."""
    groups = data.groups("test")
    if groups is not None:
        predictions.groups = consecutive(groups.cpu().numpy()[predictions.index])


def warn_of_doubts(tested: CheckpointScores, trainer: pl.Trainer, module: GATModule, data: ImageDataModule) -> None:
    """Log a warning for each reason to doubt a test score."""
    label = data.info.labels.get(module.task_names[0])
    classes = () if label is None else label.classes
    for name, views in tested.checks.items():
        doubts = {view: non_finite_outputs(check) or zero_gradients(check) for view, check in views.items()}
        doubts[CLEAN] = doubts[CLEAN] or one_class_for_all(views[CLEAN], classes)
        for view, doubt in doubts.items():
            if doubt is not None:
                log.warning("%s.ckpt, test/%s: %s.", name, view, doubt)
    images = min(len(data.split("test")), int(sum(trainer.num_test_batches)) * data.batch_size)
    few = few_labelled_images(tested.labelled, images, "test")
    if few is not None:
        log.warning("%s.", few.capitalize())


def refuse_non_finite(tested: CheckpointScores) -> None:
    """Fail a training whose model answers NaN.

    Raises:
        UserError: an output for a test image, clean or attacked, is NaN or infinite.
    """
    bad = {name: max(views.values(), key=lambda check: check.non_finite) for name, views in tested.checks.items()}
    spoilt = [name for name, check in bad.items() if check.non_finite]
    if not spoilt:
        return
    check = bad[spoilt[-1]]
    sound = ", ".join(f"{name}.ckpt" for name in bad if name not in spoilt)
    raise UserError(
        f"The trained model answers NaN or infinity: {check.non_finite:,} of {check.images:,} test outputs of"
        f" {spoilt[-1]}.ckpt. A smaller optimizer.lr, a warm-up or engine.clip_norm usually helps. Checkpoints without"
        f" such outputs: {sound or 'none'}."
    )


def write_images(module: GATModule, data: ImageDataModule, path: Path) -> bool:
    """Draw some test images under the test attack.

    Returns:
        False where there is nothing to draw, because the target is a number, a self-supervised task or not labelled.
    """
    path.parent.mkdir(exist_ok=True)
    data.setup("test")
    attack = next(iter(module.attacks["test"].values()))
    target, split = module.tasks[0], data.split("test")
    if target.kind == "regression" or target.transforms:
        return False
    shown = draw_images(split.labels[target.name], None, _SHOWN, data.info.name, "test")
    if len(shown) == 0:
        return False
    batch = split.__getitems__(shown.tolist()).to(module.device)
    adversarial_gallery(
        module.model.single_task().eval(),
        batch.images.to(module.dtype),
        batch.labels[target.name],
        data.info.labels[target.name].classes,
        attack,
        path,
        BinaryProblem if target.kind == "binary" else ClassifierProblem,
    )
    return True

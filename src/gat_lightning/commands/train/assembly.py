"""The objects of a training, from its configuration."""

import logging
from typing import NamedTuple

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig

from gat_lightning.commands.train.batch_parts import batch_parts
from gat_lightning.commands.train.estimate import Estimate
from gat_lightning.commands.train.introduction import Introduction
from gat_lightning.commands.train.scored_labels import check_scored_labels
from gat_lightning.commands.train.teacher import pseudo_labels
from gat_lightning.config.attack_strength import doubts_about_training
from gat_lightning.config.build import build_data, build_module, build_trainer, build_training_attacks
from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.config.engine import ResolvedEngine
from gat_lightning.config.held_out import check_held_out
from gat_lightning.config.length import counted_batches
from gat_lightning.config.normalization import carry_normalization
from gat_lightning.config.radius_checks import untyped_radii
from gat_lightning.config.resuming import (
    Progress,
    announce,
    check_fits,
    check_unfinished,
    engine_before,
    find_resumable,
    initialise,
    progress_of,
    set_aside,
    wanted_resume,
    warn_of_threads,
)
from gat_lightning.config.unlabeled import OFF, STANDARD, UnlabeledMode, unlabeled_mode
from gat_lightning.config.without_effect import without_effect
from gat_lightning.data import ImageDataModule
from gat_lightning.methods import Method
from gat_lightning.runs.directory import typed_overrides
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.training.module import GATModule

log = logging.getLogger(__name__)


class Assembly(NamedTuple):
    """What a training needs.

    Attributes:
        data: the data module; its files are on disk.
        module: the model with everything that a step needs.
        trainer: Lightning's, with callbacks and loggers.
        progress: of the checkpoint to resume from; None where the training starts anew.
        engine: how it is computed.
        unlabeled: what the target learns from images without its label.
        introduction: what the run says of itself at its start and after its first steps, by subject; empty before.
    """

    data: ImageDataModule
    module: GATModule
    trainer: pl.Trainer
    progress: Progress | None
    engine: ResolvedEngine
    unlabeled: UnlabeledMode
    introduction: dict[str, str]


def assemble(config: DictConfig, init: str | None) -> Assembly:
    """Build data, model and trainer, and find the checkpoint to resume from.

    Args:
        config: of the run.
        init: the checkpoint whose weights a training that starts anew begins with; None for random weights.

    Raises:
        UserError: the data are not there, or the checkpoint cannot be read or is of another training.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = build_data(config)
    directory = RunDirectory(config.paths.run)
    resumed = find_resumable(wanted_resume(config), directory.path)
    before = None if resumed is None else engine_before(resumed)
    module = build_module(config, data.info, counted_batches(config, data), before)
    unlabeled = unlabeled_mode(config, data.info)
    if unlabeled.labels:
        module.pseudo_labels = pseudo_labels(config, data, module, resumed is not None)
    engine = ResolvedEngine.from_plain(module.origin["engine"])
    if (start := resumed or init) is not None:
        check_held_out(start, data.patient_split, ["val", "test"])
    if resumed is not None:
        check_fits(module.model, config, resumed)
    elif init is not None:
        taken = initialise(module.model, init)
        log.info("Encoder from %s, and the decoders of: %s", init, ", ".join(taken) or "none")
    if start is not None and config.encoder.get("mean") is None:
        carry_normalization(module.model, load_checkpoint(start), start)
    trainer, introduction = build_trainer(config, engine.precision), dict[str, str]()
    trainer.callbacks += [Introduction(config, introduction), Estimate(config, introduction)]  # type: ignore[attr-defined]
    rank_zero_only(data.prepare_data)()
    check_scored_labels(data, module.tasks[0], module.selection_limit)
    if trainer.is_global_zero:
        _tell_unlabelled(config, data, module, unlabeled)
        _comment(config, module.method, unlabeled)
    progress = None if resumed is None else progress_of(resumed)
    if progress is not None:
        check_unfinished(config, progress)
        warn_of_threads(progress, trainer.strategy.root_device)
    elif trainer.is_global_zero:
        set_aside(directory)
    announce(config, progress)  # last, since a refused command leaves its directory where something was logged
    return Assembly(data, module, trainer, progress, engine, unlabeled, introduction)


def _tell_unlabelled(config: DictConfig, data: ImageDataModule, module: GATModule, mode: UnlabeledMode) -> None:
    """Log what images without the target's label are for, unless that was told before the stage of the teacher."""
    parts = batch_parts(data, module.tasks, mode)
    if parts is None and mode.name != OFF:
        log.info("Images without the target's label: unlabeled.mode=%s.", mode)
    elif parts is not None and not (mode.labels and config.unlabeled.teacher == STANDARD):
        log.info("%s", parts)


def _comment(config: DictConfig, method: Method, unlabeled: UnlabeledMode) -> None:
    """Log what nobody typed, and what is hardly meant."""
    if not RunDirectory(config.paths.run).is_stage:  # whose settings are mostly those of its run
        for message in without_effect(config, unlabeled, typed_overrides()):
            log.warning(message)
    for message in untyped_radii(config, config.data.eps):
        log.info(message)
    for message in doubts_about_training(config, build_training_attacks(config), method):
        log.warning(message)

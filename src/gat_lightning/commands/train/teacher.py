"""The teacher of pseudo-labels: trained in a stage before the training, given, or the average of the run's weights."""

import copy
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gat_lightning.commands.evaluate.subject import load_subject
from gat_lightning.commands.train.batch_parts import batch_parts
from gat_lightning.config.build import build_data, build_tasks
from gat_lightning.config.check import check
from gat_lightning.config.checkpoint import check_order
from gat_lightning.config.evaluation import SPLIT_SETTINGS
from gat_lightning.config.files import plain
from gat_lightning.config.held_out import check_held_out
from gat_lightning.config.length import batches_of_epoch
from gat_lightning.config.unlabeled import EMA, OFF, STANDARD, may_label, unlabeled_mode
from gat_lightning.data import ImageDataModule
from gat_lightning.errors import UserError
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.training.labelling import Teacher, TeacherLabels, lacking
from gat_lightning.training.module import GATModule
from gat_lightning.training.pseudo_labels import AverageLabels, Labelling, PseudoLabels

log = logging.getLogger(__name__)

LABEL_SMOOTHING = 0.1
"""Of the teacher that a stage trains."""

# Settings of the data that leave images and labels as they are.
_OF_BATCHES = ("batch_size", "epoch_images", "unlabeled_fraction", "workers")

# Callbacks that the stage does without.
_OF_THE_RUN = ("ema", "swa", "early_stopping", "pictures")


def taught(config: DictConfig, train: Callable[[DictConfig], Any]) -> Path | None:
    """Train the teacher in ``RUN/teacher`` if the run needs one and it is not finished; an interrupted one goes on.

    A run that continues another one (``resume=RUN``) gets a copy of that one's teacher.

    Args:
        config: of the run.
        train: runs a configuration.

    Returns:
        Its directory; None where the run needs none.

    Raises:
        UserError: pseudo-labels do not fit the run, or the configuration of the stage is refused.
    """
    data = build_data(config)
    _take_over(config)
    stage = teacher_stage(config, data)
    if stage is None:
        return None
    directory = RunDirectory(stage.paths.run)
    is_trained = directory.is_finished
    if not is_trained:
        check(stage)
    tasks, mode = build_tasks(config, data.info), unlabeled_mode(config, data.info)
    if (parts := batch_parts(data, tasks, mode)) is not None:
        log.info("%s", parts)
    if not is_trained:
        log.info(
            "First the teacher of the pseudo-labels, by standard training on the labels alone, in %s", directory.path
        )
        directory.path.mkdir(parents=True, exist_ok=True)
        del data  # the stage reads its own
        train(stage)
    return directory.path


def may_have_stage(config: DictConfig) -> bool:
    """Whether a run may have to train its teacher, as far as its settings say without its data."""
    return bool(config.unlabeled.teacher == STANDARD and may_label(config))


def teacher_stage(config: DictConfig, data: ImageDataModule) -> DictConfig | None:
    """Configuration of the training of ``unlabeled.teacher=standard``; None where none is needed.

    It is the run's own, with the standard method on the target alone, without unlabelled images and with label
    smoothing. An epoch has as many steps as one of the run. The scores under attack are by FGSM, which costs little.

    Args:
        config: of the run.
        data: of the run.

    Raises:
        UserError: the target cannot have pseudo-labels, the data cannot be read, or no training image lacks its label.
    """
    if not may_have_stage(config):
        return None
    if not unlabeled_mode(config, data.info).labels:
        return None
    directory = RunDirectory(config.paths.run).teacher
    stage = copy.deepcopy(config)
    changed = _changed(config, directory)
    if not RunDirectory(directory).is_finished:
        batches = batches_of_epoch(data)  # before the stage, so that it does not run where the data are refused
        lacking(data, build_tasks(config, data.info)[0])
        if data.unlabeled is not None and data.epoch_images is None:
            changed["data.epoch_images"] = batches * data.batch_size
    for name, value in changed.items():
        OmegaConf.update(stage, name, value, merge=False, force_add=True)
    return stage


def share_teacher(stage: DictConfig, config: DictConfig, directory: Path) -> None:
    """Let a pre-training stage on the run's own images take its pseudo-labels from the teacher of the run.

    Args:
        stage: of the pre-training, which is changed.
        config: of the run.
        directory: of the teacher.
    """
    images = {*stage.data, *config.data}.difference(_OF_BATCHES)
    same = all(stage.data.get(name) == config.data.get(name) for name in images)
    if stage.unlabeled.teacher == STANDARD and same:
        stage.unlabeled.teacher = str(directory.absolute())


def pseudo_labels(config: DictConfig, data: ImageDataModule, module: GATModule, resumed: bool) -> PseudoLabels:
    """The labels that a run fills in.

    Args:
        config: of the run.
        data: of the run.
        module: of the run.
        resumed: whether the training goes on from a checkpoint.

    Raises:
        UserError: the teacher cannot be loaded, does not fit the data, has their classes in another order, or has seen
            validation or test patients.
    """
    settings, target = config.unlabeled, module.tasks[0]
    labelling = Labelling(settings.confidence, settings.soft, settings.weight)
    if settings.teacher == EMA:
        return AverageLabels(target, labelling, module.model, micro_batch=module.micro_batch)
    path = RunDirectory(config.paths.run).pseudo_labels
    return TeacherLabels(target, labelling, _teacher(config, data), path, module.micro_batch, resumed)


def _take_over(config: DictConfig) -> None:
    """Copy the teacher of the run that this one continues, with whose labels it has to go on."""
    if not may_have_stage(config) or config.resume in (None, "auto"):
        return
    path = Path(config.resume)
    before = RunDirectory(path) if path.is_dir() else RunDirectory.of_checkpoint(path)
    own = RunDirectory(config.paths.run).teacher
    if before is None or own.exists() or not RunDirectory(before.teacher).is_finished:
        return
    own.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=own.parent) as folder:  # each process has its own, and one comes first
        copied = shutil.copytree(before.teacher, Path(folder) / own.name)
        try:
            copied.rename(own)
        except OSError:
            if not own.exists():
                raise
    log.info("The teacher of the pseudo-labels is that of %s", before.path)


def _changed(config: DictConfig, directory: Path) -> dict[str, Any]:
    """Settings in which the stage differs from the run."""
    epochs = config.unlabeled.teacher_epochs
    changed: dict[str, Any] = {
        "method": {"_target_": "gat_lightning.methods.Standard"},
        "weighting": {"_target_": "gat_lightning.weighting.Equal"},
        "task": {},
        "attack.tasks": "target",
        "target_task.label_smoothing": LABEL_SMOOTHING,
        "unlabeled.mode": OFF,
        "curvature.mode": "off",
        "curvature.every": 1,
        "engine.solve_every": 1,
        "awp.gamma": None,
        "test.also": {},
        "paper.table": None,
        "logger": {},
        "init": None,
        "pretraining": None,
        "resume": "auto" if directory.is_dir() else None,
        "skip_finished": False,
        "callbacks": {name: _by_selection(each) for name, each in config.callbacks.items() if name not in _OF_THE_RUN},
        "paths.run": str(directory.absolute()),
    }
    for node in ("validation.attack", "test.attack"):
        attack = OmegaConf.select(config, node)
        changed[node] = {"_target_": "gat_lightning.attacks.FGSM", "norm": attack.norm, "eps": attack.eps}
    if "unlabeled" in config.data:
        changed["data.unlabeled"] = True if config.data.unlabeled is True else None
    if epochs is not None:
        changed |= {"trainer.max_epochs": epochs, "validation.every": min(config.validation.every, epochs)}
        changed["trainer.max_steps"] = -1
    return changed


def _by_selection(callback: Any) -> Any:
    """A callback of the run, which in the stage monitors the selection score: the run's own attacks have no score."""
    if not isinstance(callback, DictConfig) or "monitor" not in callback:
        return callback
    settings = OmegaConf.to_container(callback, resolve=False)
    assert isinstance(settings, dict)
    return {**settings, "monitor": "val/selection", "mode": "max"}


def _teacher(config: DictConfig, data: ImageDataModule) -> Teacher:
    settings: dict[str, Any] = dict.fromkeys(("checkpoint", "model", "weights", "normalize"))
    given, directory = config.unlabeled.teacher, RunDirectory(config.paths.run)
    if isinstance(given, DictConfig):
        settings |= {str(key): given[key] for key in given}
        name = str(given.model._target_)
    else:
        settings["checkpoint"] = str(_checkpoint(directory.teacher if given == STANDARD else Path(given)))
        name = given
    own = plain(config.data)
    try:
        subject = load_subject(OmegaConf.create({**settings, "data": own, "split": "test"}))
        if settings["checkpoint"] is not None and subject.multitask is not None:
            check_held_out(settings["checkpoint"], data.patient_split, ["val", "test"])
        check_order(subject.classes, data.info, config.data.target)  # the subject has the order of its training
    except UserError as error:
        raise UserError(f"unlabeled.teacher: {error}") from error
    if subject.trained is not None:
        _warn_of_other_split(name, subject.trained.get("data") or {}, own)
    return Teacher(name, subject.model)


def _warn_of_other_split(name: str, theirs: dict[str, Any], own: dict[str, Any]) -> None:
    """Warn of a teacher that was trained on the run's data set with other settings of the split."""
    places = [[Path(str(data.get(key))).name for key in ("_target_", "root", "path")] for data in (theirs, own)]
    differing = [key for key in SPLIT_SETTINGS if theirs.get(key) != own.get(key)]
    if places[0] == places[1] and differing:
        log.warning(
            "unlabeled.teacher: '%s' was trained on this data set with another %s. It may have seen labels that this"
            " run hides or validates with: its accuracy on validation images is then too high, and so are the scores of"
            " a study of few labels.",
            name,
            " and ".join(f"data.{key}" for key in differing),
        )


def _checkpoint(path: Path) -> Path:
    """The last checkpoint of a run directory, or its best if the last is not kept; or the file itself."""
    if not path.is_dir():
        return path
    run = RunDirectory(path)
    return run.last if run.last.is_file() else run.checkpoint("best")

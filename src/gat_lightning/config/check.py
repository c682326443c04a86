"""Checks of a configuration before data are read and a model is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.constructors import check_constructors
from gat_lightning.config.encoder import check_encoder
from gat_lightning.config.files import READ_ELSEWHERE
from gat_lightning.config.naming import naming
from gat_lightning.config.ranges import check_settings
from gat_lightning.errors import UserError
from gat_lightning.info import NO_TARGET
from gat_lightning.runs.layout import RunDirectory


def check(config: DictConfig) -> None:
    """Check names, types, ranges and combinations, without a look at the data.

    What is cheap to construct is constructed for it, so that its own checks are heard.

    Raises:
        UserError: the first fault, with its remedy.
    """
    check_settings(config)
    check_constructors(config, READ_ELSEWHERE)
    if "method" in config:
        _check_training(config)


def _check_training(config: DictConfig) -> None:
    import torch

    from gat_lightning.config import build  # imports Lightning, which a setting out of its range need not

    check_encoder(config.encoder)
    _check_length(config.trainer)
    _check_checkpoints(config)
    further = [f"test.also.{name}.attack" for name in config.test.also]
    for path in ("attack", "validation.attack", "test.attack", *further):
        attack = build.build_attack(config, path)
        if path != "attack":
            _check_scored(config, path)
        if attack.needs_decision and (path != "attack" or _trains_on_attack(config)):
            raise UserError(
                f"{path} is {attack.name}, an attack for evaluations, which training and its scores cannot use: choose"
                " another here, such as pgd, and after training run python -m gat_lightning.evaluate"
                f" checkpoint=RUN/checkpoints/best.ckpt evaluation={attack.name}."
            )
    build.build_test_attacks(config)
    _check_objectives(config)
    with naming(config, "optimizer"):
        optimizer = instantiate(config.optimizer)([torch.nn.Parameter(torch.zeros(1))])
    with naming(config, "schedule"):
        instantiate(config.schedule)(optimizer, 10)
    build.build_data(config)


def _trains_on_attack(config: DictConfig) -> bool:
    method = _part(config, "method")
    return method.needs_adversarial and method.attack is None


def _check_scored(config: DictConfig, path: str) -> None:
    tasks = OmegaConf.select(config, f"{path}.tasks", default="target")
    if tasks != "target":
        raise UserError(
            f"{path}.tasks={tasks}: validation and test score the target task under attack, and can attack no other:"
            " leave it at target. attack.tasks says whose loss the attack of the training increases."
        )


def _check_length(trainer: DictConfig) -> None:
    epochs, every = trainer.max_epochs, trainer.get("check_val_every_n_epoch")
    if epochs is None or epochs < 1:
        if trainer.get("max_steps", -1) < 1:
            raise UserError(f"trainer.max_epochs={epochs} has no end: set a number of epochs, or +trainer.max_steps.")
    elif every is not None and every > epochs:
        raise UserError(
            f"validation.every={every} is more than trainer.max_epochs={epochs}: no validation would choose the best"
            f" checkpoint. Set validation.every to {epochs} or less."
        )


def _check_checkpoints(config: DictConfig) -> None:
    expected = RunDirectory(config.paths.run).checkpoints
    for name, callback in config.callbacks.items():
        if callback is not None and Path(str(callback.get("dirpath", expected))) != expected:
            raise UserError(
                f"callbacks.{name}.dirpath={callback.dirpath}: a run keeps its checkpoints in its own directory, where"
                " its test, resume= and evaluate look for them. Leave it out, and set paths.output=FOLDER for another"
                " place."
            )


def _check_objectives(config: DictConfig) -> None:
    from gat_lightning.config.build import check_objectives

    target = config.data.target
    names = [] if target == NO_TARGET else [target]
    for key in config.task:
        name = _part(config, f"task.{key}").name
        if name == target:
            raise UserError(
                f"The task '{name}' is the target already (data.target={name}): leave it out of task=, or choose"
                " another data.target."
            )
        if name in names:
            raise UserError(f"task.{key}: there is a task '{name}' already; leave one of them out.")
        names.append(name)
    augment, method = _part(config, "augment"), _part(config, "method")
    weighting, curvature = _part(config, "weighting"), _part(config, "curvature")
    check_objectives(config, names, augment, method, weighting, curvature)
    _check_synchronised_statistics(config, curvature.enabled(names) and curvature.exact)


def _check_synchronised_statistics(config: DictConfig, double_backward: bool) -> None:
    if not config.trainer.get("sync_batchnorm"):
        return
    if double_backward:
        raise UserError(
            "trainer.sync_batchnorm=true works without a double backward only: set curvature.derivative="
            "finite_difference or curvature.mode=off."
        )
    if config.engine.micro_batch is not None:
        raise UserError(
            "trainer.sync_batchnorm=true and engine.micro_batch do not go together: processes may have different"
            " numbers of parts and would wait for each other. Leave one of them out."
        )


def _part(config: DictConfig, path: str) -> Any:
    with naming(config, path):
        return instantiate(OmegaConf.select(config, path))

"""Checks of a configuration before data are read and a model is built."""

import inspect
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.attack_strength import check_radius_above_zero, check_training_attack
from gat_lightning.config.constructors import check_constructors, parameters
from gat_lightning.config.data_modules import check_data_class
from gat_lightning.config.engine import device_type
from gat_lightning.config.files import GIVEN_TO_ENCODERS, READ_ELSEWHERE
from gat_lightning.config.naming import naming
from gat_lightning.config.radius_checks import check_radii
from gat_lightning.config.ranges import check_settings
from gat_lightning.config.unlabeled import check_unlabeled
from gat_lightning.errors import SettingError, UserError
from gat_lightning.info import NO_TARGET
from gat_lightning.methods import Method
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.validate import check_normalization

# Whose models are called in another way; an option of the group ``encoder`` is named after each.
_LIBRARIES = ("torchvision", "timm")


def check(config: DictConfig) -> None:
    """Check names, types, ranges and combinations, without a look at the data.

    What is cheap to construct is constructed for it, so that its own checks are heard.

    Raises:
        UserError: the first fault, with its remedy.
    """
    check_settings(config)
    check_data_class(config)
    check_radii(config)
    check_constructors(config, READ_ELSEWHERE)
    if "method" in config:
        _check_training(config)


def _check_training(config: DictConfig) -> None:
    import torch

    from gat_lightning.config import build  # imports Lightning, which a setting out of its range need not
    from gat_lightning.config.processes import check_processes
    from gat_lightning.training.optimizers import checked_optimizer

    check_processes(config.trainer)
    check_encoder(config.encoder)
    _check_length(config.trainer)
    _check_checkpoints(config)
    attacks, method = build.build_training_attacks(config), _part(config, "method")
    for path, attack in attacks.items():
        if path != "attack":
            _check_scored(config, path)
        if attack.needs_decision and (path != "attack" or _trains_on_attack(method)):
            raise UserError(
                f"{path} is {attack.name}, an attack for evaluations, which training and its scores cannot use: choose"
                " another here, such as pgd, and after training run python -m gat_lightning.evaluate"
                f" checkpoint=RUN/checkpoints/best.ckpt evaluation={attack.name.partition('-')[0]}."
            )
    check_unlabeled(config, method, attacks)
    check_training_attack(config, attacks, method)
    check_radius_above_zero(config, [(path, attacks[path]) for path in build.scored_attacks(config)])
    build.build_test_attacks(config)
    _check_objectives(config)
    with naming(config, "optimizer"):
        optimizer = checked_optimizer(instantiate(config.optimizer), {"weight": torch.nn.Parameter(torch.zeros(1))})
    with naming(config, "schedule"):
        instantiate(config.schedule)(optimizer, 10)
    build.build_data(config)


def _trains_on_attack(method: Method) -> bool:
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
    if not any(config.callbacks.get(name) for name in ("best", "last")):
        typed = "+".join(["default", *(name for name, callback in config.callbacks.items() if callback)])
        raise UserError(
            "callbacks has neither best nor last, which write the model's checkpoints: there would be nothing to resume"
            f" or to evaluate. Set callbacks={typed}."
        )
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
    if not config.trainer.sync_batchnorm:
        return
    if device_type(config.trainer.accelerator) != "cuda":
        raise UserError(
            "trainer.sync_batchnorm=true needs GPUs: on other devices torch cannot take BatchNorm's statistics from all"
            " processes. Leave it at false."
        )
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


def check_encoder(encoder: DictConfig) -> None:
    """Compare the signature of the encoder's target with what it is called with; nothing is called.

    Raises:
        UserError: it does not take all of that or wants more, or is a model of a library, for which there is an option;
            a setting is given that follows from the data, or a normalisation that is not of pixels in [0, 1].
    """
    name = str(encoder["_target_"])
    target = resolve_name(name)
    library = str(target.__module__).split(".")[0]
    if library in _LIBRARIES:
        known = target.__name__ in resolve_name(f"{library}.models.list_models")()
        raise UserError(
            f"encoder._target_={name} cannot be called with {', '.join(GIVEN_TO_ENCODERS)}, as encoders are: choose"
            f" encoder={library} encoder.name={target.__name__ if known else 'NAME'} instead."
        )
    settled = [argument for argument in ("num_classes", "image") if argument in encoder]
    if settled:
        raise UserError(f"encoder.{settled[0]} follows from the data: leave it out.")
    try:
        check_normalization(encoder.get("mean"), encoder.get("std"))
    except SettingError as error:
        raise UserError(error.spelled(f"encoder.{error.name}", "null")) from error
    accepted, takes_any = parameters(target)
    refused = [argument for argument in GIVEN_TO_ENCODERS if argument not in accepted]
    if refused and not takes_any:
        raise UserError(
            f"encoder._target_={name} is called with {', '.join(GIVEN_TO_ENCODERS)}; it does not take"
            f" {', '.join(refused)}: let it accept them, by name or as **kwargs."
        )
    lacking = [argument for argument in _needed(target) if argument not in (*GIVEN_TO_ENCODERS, *encoder)]
    if lacking:
        settings = " ".join(f"+encoder.{argument}=VALUE" for argument in lacking)
        raise UserError(f"encoder._target_={name} needs {', '.join(lacking)}: set {settings}.")


def _needed(target: Callable[..., Any]) -> list[str]:
    """Parameters without a default."""
    try:
        found = inspect.signature(target).parameters.values()
    except ValueError:  # written in C
        return []
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [each.name for each in found if each.default is each.empty and each.kind in by_name]

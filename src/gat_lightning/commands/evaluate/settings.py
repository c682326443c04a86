"""Allowed values of an evaluation's settings."""

import logging
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from gat_lightning.attacks.budget import parse_budget
from gat_lightning.commands.evaluate.images import check_images
from gat_lightning.config.naming import naming
from gat_lightning.config.ranges import Check, check_ranges
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import setting_of, typed_overrides
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import SPLITS
from gat_lightning.validate import check_bool, check_int, check_normalization, check_option

log = logging.getLogger(__name__)

_RANGES: dict[str, Check] = {
    "split": partial(check_option, options=SPLITS),
    "images": check_images,
    "batch_size": check_int,
    "jobs": check_int,
    "subset": partial(check_int, also=(None,)),
    "audit": check_bool,
    "vulnerability": check_bool,
    "pictures": check_bool,
    "save_adversarial": check_bool,
    "device": partial(check_option, options=("auto", "cpu", "cuda", "mps")),
    "engine.compile": partial(check_bool, also=("auto",)),
    "engine.channels_last": partial(check_bool, also=("auto",)),
}


_OF_SOME = (
    ("loss", None, "a choice of loss"),
    ("eot", 1, "this number of gradients to average"),
    ("targeted", None, "a target"),
)
"""Settings of ``attack`` that some attacks do not have: name, usual value, and what these attacks lack."""


def check_evaluation(config: DictConfig) -> None:
    """Raise `UserError` for the first setting that is out of its range, and warn of one without effect."""
    check_ranges(config, _RANGES)
    if config.runs is not None:
        raise UserError(f"runs={config.runs}: type it on the command line, which makes a sweep of it.")
    if config.jobs != 1 and not (HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN):
        raise UserError(f"jobs={config.jobs} is for several evaluations: runs=FOLDER, or a sweep (-m).")
    _warn_of_folder(config)
    if config.resume not in (None, "auto"):
        raise UserError(f"resume={config.resume!r}: it must be auto or null.")
    views = {f"evaluation.{view}": node for view, node in (config.get("evaluation") or {}).items()}
    for name, node in {**views, "curve": config.curve}.items():
        if node.attack.tasks != config.attack.tasks:
            raise UserError(f"{name}.attack.tasks: one evaluation attacks the same tasks; set attack.tasks.")
    used = [node.attack for node in views.values()] + ([config.curve.attack] if config.curve.eps else [])
    for name, usual, what in _OF_SOME:
        value = config.attack[name]
        if value != usual and not any(attack.get(name, usual) == value for attack in used):
            log.warning("attack.%s=%s has no effect: no attack of this evaluation has %s.", name, value, what)
    normalize = config.normalize
    if normalize not in (None, "data") and not (
        isinstance(normalize, DictConfig) and set(normalize) == {"mean", "std"}
    ):
        raise UserError(f"normalize={normalize!r}: it must be null, data, or {{mean: [...], std: [...]}}.")
    if isinstance(normalize, DictConfig):
        with naming(config, "normalize"):
            check_normalization(normalize.mean, normalize.std)
    with naming(config, "curve"):
        for eps in config.curve.eps:
            parse_budget(eps, "eps", 0)


def _warn_of_folder(config: DictConfig) -> None:
    directory, output = Path(config.paths.run).absolute(), Path(config.paths.output).absolute()
    typed = "paths.output" in map(setting_of, typed_overrides())
    if typed and RunDirectory.of_evaluation(directory) and not directory.is_relative_to(output):
        log.warning(
            "paths.output=%s has no effect: the evaluation of a run's checkpoint lies in the run, '%s'.",
            config.paths.output,
            directory,
        )

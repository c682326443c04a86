"""OmegaConf resolvers of the configuration files: the values of ``${NAME:...}``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.evaluation import evaluation_eps
from gat_lightning.config.paper import scaled
from gat_lightning.config.radii import radius
from gat_lightning.runs.directory import auto_name, record_directory, run_name
from gat_lightning.runs.evaluations import evaluation_name
from gat_lightning.runs.slurm import cpus_per_task, gpus_per_node, tasks_per_node

# Groups whose options a command or an experiment chooses, never a user.
_NOT_CHOSEN = ("hydra", "recipe")


def register_resolvers() -> None:
    """Register every resolver that a file under ``conf/`` uses; calling it again changes nothing."""
    of_arguments: dict[str, Callable[..., Any]] = {
        "auto_name": auto_name,
        "scaled": scaled,
        "radius": radius,
        "slurm_tasks": tasks_per_node,
        "slurm_gpus": gpus_per_node,
        "slurm_cpus": cpus_per_task,
    }
    of_configuration: dict[str, Callable[[DictConfig], Any]] = {
        "run_name": run_name,
        "run_directory": lambda config: str(Path(config.paths.output) / run_name(config)),
        "record_directory": record_directory,
        "evaluation_name": evaluation_name,
        "evaluation_eps": evaluation_eps,
        "group_options": _group_options,
    }
    of_arguments |= {name: _of_root(function) for name, function in of_configuration.items()}
    for name, resolver in of_arguments.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def _of_root(function: Callable[[DictConfig], Any]) -> Callable[..., Any]:
    return lambda *, _root_: function(_root_)


def _group_options(config: DictConfig) -> str:
    """The options of each group that a user of this command chooses from, one group per line, for ``--help``."""
    groups = {choice.partition("@")[0].partition("/")[0] for choice in config.hydra.runtime.choices}
    chosen = groups.difference(_NOT_CHOSEN)
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    return hydra.format_config_groups(lambda group: group.partition("/")[0] in chosen)

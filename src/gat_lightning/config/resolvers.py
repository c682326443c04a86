"""OmegaConf resolvers of the configuration files: the values of ``${NAME:...}``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.evaluation import evaluation_eps
from gat_lightning.config.explained import explained_settings
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
        "group_options": _group_options,
    }
    of_configuration: dict[str, Callable[[DictConfig], Any]] = {
        "run_name": run_name,
        "run_directory": lambda config: str(Path(config.paths.output) / run_name(config)),
        "record_directory": record_directory,
        "evaluation_name": evaluation_name,
        "evaluation_eps": evaluation_eps,
        "explained_settings": _for_template(explained_settings),
    }
    of_arguments |= {name: _of_root(function) for name, function in of_configuration.items()}
    for name, resolver in of_arguments.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def _of_root(function: Callable[[DictConfig], Any]) -> Callable[..., Any]:
    return lambda *, _root_: function(_root_)


def _for_template(function: Callable[[DictConfig], str]) -> Callable[[DictConfig], str]:
    """Its text with the dollar signs doubled, as Hydra's templates of ``--help`` take it."""
    return lambda config: function(config).replace("$", "$$")


def _group_options(*groups: str, _root_: DictConfig) -> str:
    """The options of each group that a user of a command chooses from, one group per line, for ``--help``.

    Args:
        *groups: as they are typed, ``attack@curve.attack`` for one at another place; all of the command by default.
        _root_: the configuration of the command.
    """
    if groups:
        loader = GlobalHydra.instance().config_loader()
        options = {group: loader.get_group_options(group.partition("@")[0]) for group in groups}
        return "\n".join(f"{group}: {', '.join(sorted(found))}" for group, found in options.items())
    found = {choice.partition("@")[0].partition("/")[0] for choice in _root_.hydra.runtime.choices}
    chosen = found.difference(_NOT_CHOSEN)
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    return hydra.format_config_groups(lambda group: group.partition("/")[0] in chosen)

"""Configurations as commands compose them."""

from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from gat_lightning.config.files import find_conf
from gat_lightning.config.resolvers import register_resolvers


def composed(name: str, *overrides: str, **settings: Any) -> DictConfig:
    """The configuration of the command ``name`` with what is typed after it, not checked.

    Args:
        settings: of ``hydra.compose``.
    """
    register_resolvers()
    with initialize_config_dir(str(find_conf()), version_base="1.3"):
        return compose(name, list(overrides), **settings)

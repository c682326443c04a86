"""Hydra plugin that composes ``group=a+b+c`` from the options a, b and c of any group, in the order given.

Hydra finds it because it is in the ``hydra_plugins`` namespace. It works wherever Hydra composes: on the command line,
in ``-m`` sweeps, in ``override /task: a+b`` inside a YAML file, and in :func:`hydra.compose`.
"""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

PROVIDER = "gat-lightning-plus"


class PlusSearchPath(SearchPathPlugin):
    """Adds the ``plus://`` source behind the real ones, so that a file always wins."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the source."""
        search_path.append(PROVIDER, "plus://")


class PlusConfigSource(ConfigSource):
    """Answers for ``a+b`` with a configuration whose defaults list is ``[a, b]``."""

    @staticmethod
    def scheme() -> str:
        """The scheme of this source's path."""
        return "plus"

    def load_config(self, config_path: str) -> ConfigResult:
        """A defaults list of the parts.

        Raises:
            ConfigLoadError: the path is not a sum of names.
            ConfigCompositionException: an option is named twice.
        """
        names = _parts(config_path)
        if not names:
            raise ConfigLoadError(f"Config not found: {config_path}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigCompositionException(
                f"'{'+'.join(names)}' names {', '.join(twice)} more than once; name each once."
            )
        return ConfigResult(
            provider=PROVIDER,
            path="plus://",
            config=OmegaConf.create({"defaults": [*names, "_self_"]}),
            header={"package": None},
        )

    def available(self) -> bool:
        """Always."""
        return True

    def is_group(self, config_path: str) -> bool:
        """This source has no groups of its own."""
        return False

    def is_config(self, config_path: str) -> bool:
        """Whether the last part of the path is a sum of names."""
        return bool(_parts(config_path))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Nothing: sums are not listed among a group's options."""
        return []


def _parts(config_path: str) -> list[str]:
    names = config_path.rsplit("/", 1)[-1].removesuffix(".yaml").split("+")
    return names if len(names) > 1 and all(names) else []

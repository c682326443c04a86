"""Hydra plugin that composes ``group=a+b+c``, and tasks without a file.

``group=a+b+c`` stands for the options a, b and c of any group, in the order given. ``task=NAME`` without a file of that
name is the task that predicts the label NAME. Which labels the data set declares is not known here, but checked by
:func:`gat_lightning.config.label_tasks.check_label_tasks`.

Hydra finds the plugin because it is in the ``hydra_plugins`` namespace. It works wherever Hydra composes: on the
command line, in ``-m`` sweeps, in ``override /task: a+b`` inside a YAML file, and in :func:`hydra.compose`.
"""

from collections.abc import Iterator

from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_search_path import ConfigSearchPath, SearchPathElement
from hydra.core.object_type import ObjectType
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from gat_lightning.config.label_tasks import label_task

PROVIDER = "gat-lightning-plus"


class FilesFirst(list[SearchPathElement]):
    """Search path in which the ``plus://`` source comes after every folder, and before Hydra's own schemas.

    Hydra adds ``--config-dir`` and ``hydra.searchpath`` after what plugins have added, and requires the schemas to be
    the last.
    """

    def __iter__(self) -> Iterator[SearchPathElement]:
        """The sources in the order in which Hydra looks into them."""
        return iter(sorted(super().__iter__(), key=lambda each: (each.provider == "schema", each.provider == PROVIDER)))


class PlusSearchPath(SearchPathPlugin):
    """Adds the ``plus://`` source behind the folders, so that a file always wins."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the source, and keep it behind what is appended later."""
        search_path.append(PROVIDER, "plus://")
        if isinstance(search_path, ConfigSearchPathImpl):
            search_path.config_search_path = FilesFirst(search_path.config_search_path)


class PlusConfigSource(ConfigSource):
    """Composes ``a+b`` as a defaults list ``[a, b]``, and ``task/NAME`` as the task of a label."""

    @staticmethod
    def scheme() -> str:
        """The scheme of this source's path."""
        return "plus"

    def load_config(self, config_path: str) -> ConfigResult:
        """A defaults list of the parts of a sum, or the task that predicts a label.

        Raises:
            ConfigLoadError: the path is neither a sum of names nor a task.
            ConfigCompositionException: a sum names an option twice.
        """
        names = _parts(config_path)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigCompositionException(
                f"'{'+'.join(names)}' names {', '.join(twice)} more than once; name each once."
            )
        label = _label(config_path)
        if not names and not label:
            raise ConfigLoadError(f"Config not found: {config_path}")
        return ConfigResult(
            provider=PROVIDER,
            path="plus://",
            config=OmegaConf.create({label: label_task(label)} if label else {"defaults": [*names, "_self_"]}),
            header={"package": None},
        )

    def available(self) -> bool:
        """Always."""
        return True

    def is_group(self, config_path: str) -> bool:
        """This source has no groups of its own."""
        return False

    def is_config(self, config_path: str) -> bool:
        """Whether the last part of the path is a sum of names, or the path is a task that may be a label."""
        return bool(_parts(config_path) or _label(config_path))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Nothing: sums and labels are not listed among a group's options."""
        return []


def _parts(config_path: str) -> list[str]:
    names = config_path.rsplit("/", 1)[-1].removesuffix(".yaml").split("+")
    return names if len(names) > 1 and all(names) else []


def _label(config_path: str) -> str:
    group, _, name = config_path.removesuffix(".yaml").rpartition("/")
    return name if group == "task" and name.isidentifier() else ""

"""The points of a sweep, each composed once."""

from abc import abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from functools import cache

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf, open_dict

from gat_lightning.errors import UserError
from gat_lightning.runs.directory import first_name
from gat_lightning.runs.sweeps import Sweep


class Points:
    """Composes the points of a sweep.

    A point that differs from an earlier one in numbers, flags and texts alone is made of that one, which takes a tenth
    of the time of a composition.

    Args:
        loader: Hydra's.
        config: the sweep's own configuration.
    """

    def __init__(self, loader: ConfigLoader, config: DictConfig) -> None:
        self._loader, self._config = loader, config
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._bases: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._names: dict[tuple[str, ...], str] = {}
        self._parsed = cache(OverridesParser.create().parse_override)

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of a point, with its node ``hydra``; not to be changed."""
        point = tuple(overrides)
        if point not in self._composed:
            base = self._bases.setdefault(self._form(point), point)
            self._composed[point] = self._compose(point) if base == point else self._changed(base, point)
        return self._composed[point]

    def name(self, overrides: Sequence[str]) -> str:
        """Name of the first run of a point's settings."""
        point = tuple(overrides)
        if point not in self._names:
            self._names[point] = first_name(self(point))
        return self._names[point]

    def _compose(self, point: Sequence[str]) -> DictConfig:
        return self._loader.load_sweep_config(self._config, list(point))

    def _form(self, point: Sequence[str]) -> tuple[str, ...]:
        """The overrides, without the values in which points of one form may differ."""
        keys = [self._parsed(override).key_or_group for override in point]
        return tuple(
            f"{key}=" if self._is_single_value(self._parsed(override), keys) else override
            for key, override in zip(keys, point, strict=True)
        )

    def _is_single_value(self, override: Override, keys: Sequence[str]) -> bool:
        """Whether an override sets one value, which no other override of the point touches."""
        key, value = override.key_or_group, override.value()
        nested = sum(f"{other}.".startswith(f"{key}.") or f"{key}.".startswith(f"{other}.") for other in keys) > 1
        plain = override.type is OverrideType.CHANGE and not override.is_hydra_override()
        single = value is None or isinstance(value, bool | int | float | str)
        return plain and single and not nested and not self._is_group(override)

    def _is_group(self, override: Override) -> bool:
        key = override.key_or_group
        return override.package is not None or "/" in key or bool(self._loader.get_group_options(key))

    def _changed(self, base: Sequence[str], point: Sequence[str]) -> DictConfig:
        """A point made of another one of its form."""
        config = deepcopy(self._composed[tuple(base)])
        changed = [self._parsed(new) for old, new in zip(base, point, strict=True) if old != new]
        ConfigLoaderImpl._apply_overrides_to_config(changed, config)
        of_task = [each for each in map(self._parsed, point) if not each.is_hydra_override()]
        dirname = config.hydra.job.config.override_dirname
        with open_dict(config.hydra):
            config.hydra.overrides.task = [each.input_line for each in of_task]
            config.hydra.job.override_dirname = get_overrides_dirname(
                overrides=of_task,
                kv_sep=dirname.kv_sep,
                item_sep=dirname.item_sep,
                exclude_keys=dirname.exclude_keys,
            )
        OmegaConf.copy_cache(from_config=self._config, to_config=config)
        return config


class PointLauncher(Launcher):
    """A launcher that takes points as they were composed, so that a job trains what was submitted."""

    @abstractmethod
    def launch_points(self, points: Sequence[Sequence[str]], composed: Points, record: Sweep) -> Sequence[JobReturn]:
        """Launch points.

        Args:
            points: the overrides of each.
            composed: gives their configurations.
            record: of the sweep, in the same order.
        """

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Refused: these launchers need the sweeper that composes the points.

        Raises:
            UserError: another sweeper was chosen.
        """
        raise UserError("This launcher needs hydra/sweeper=every_point, the default, or optuna.")

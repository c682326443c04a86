"""Hydra plugin by which ``~setting`` also removes a setting whose value is null.

Hydra itself (1.3) looks at the value alone, takes null for missing, and says that there is no such setting. It applies
overrides in one private function, which this module replaces when Hydra imports its plugins: on the command line, in
``-m`` sweeps and in :func:`hydra.compose`.
"""

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

_now = ConfigLoaderImpl._apply_overrides_to_config
_of_hydra = getattr(_now, "of_hydra", _now)  # Hydra imports its plugins anew where it looks for them again


def apply_overrides(overrides: list[Override], cfg: DictConfig) -> None:
    """Apply overrides to a composed configuration, in place, in the order given.

    Raises:
        ConfigCompositionException: one names a setting that does not exist, or does not go with its value.
    """
    for override in overrides:
        path, _, name = override.key_or_group.rpartition(".")
        node = OmegaConf.select(cfg, path) if path else cfg
        of_any_value = override.is_delete() and override.package is None and override.value() is None
        if of_any_value and isinstance(node, DictConfig) and name in node and node[name] is None:
            with open_dict(node):
                del node[name]
        else:
            _of_hydra([override], cfg)


apply_overrides.of_hydra = _of_hydra  # type: ignore[attr-defined]
ConfigLoaderImpl._apply_overrides_to_config = staticmethod(apply_overrides)  # type: ignore[method-assign]

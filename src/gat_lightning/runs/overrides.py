"""Overrides of Hydra's command line."""

from __future__ import annotations

from hydra.core.hydra_config import HydraConfig


def typed() -> list[str]:
    """Those of this run, a sweep's too; none in a program that calls the library."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def setting_of(override: str) -> str:
    """The setting that an override changes, adds or takes away: ``optimizer.lr`` of ``++optimizer.lr=0.1``."""
    return override.partition("=")[0].lstrip("+~")

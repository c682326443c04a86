"""Locations of the configuration files, and the settings that are not read by the constructor of their node."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

READ_ELSEWHERE = {
    "data": ("eps", "crop_padding", "flip", "affine", "views"),
    "attack": ("tasks",),
    "engine": ("micro_batch", "tf32", "channels_last", "compile", "precision", "deterministic", "benchmark"),
    "trainer": ("precision",),
}
"""Settings, by node, that others read than the constructor of the node: the attack, the augmentation, the module."""


GIVEN_TO_ENCODERS = ("num_classes", "image", "mean", "std")
"""What every encoder is called with beside its settings."""


def find_conf() -> Path:
    """The directory of the configuration files: in the package where it is installed, else in the checkout."""
    package = Path(__file__).parents[1]
    return next(path for path in (package / "conf", package.parents[1] / "conf") if path.exists())


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain types."""
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}

"""Default radii of attacks: each norm has its own."""

import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

Radius = float | str
"""A number, or a fraction such as ``8/255``, as it was typed."""

_DEFAULT = re.compile(r"\$\{radius:\$\{(?:data\.eps|evaluation_eps:)\},\$\{\.norm\}(?:,\$\{(\w+)\})?\}")


def radius(presets: Any, norm: str, followed: DictConfig | None = None) -> Radius | None:
    """``${radius:${data.eps},${.norm}}``: the default radius of an attack in ``norm``.

    Args:
        presets: the radius in L-infinity, or a mapping from norms to radii.
        norm: of the attack.
        followed: another attack, whose radius is taken if it has the same norm.

    Returns:
        None where the norm has no preset, which :func:`~gat_lightning.config.radius_checks.check_radii` refuses.
    """
    if followed is not None and followed.get("norm") == norm:
        return followed.eps
    return by_norm(presets).get(norm)


def by_norm(presets: Any) -> dict[str, Radius]:
    """The radii of ``data.eps`` by norm; a plain number is that of L-infinity."""
    return dict(presets) if isinstance(presets, Mapping) else {"Linf": presets}


def source_of_radius(attack: DictConfig) -> str | None:
    """The setting that an attack's radius is taken from: ``data.eps``, or ``eps`` of the attack that it follows.

    Returns:
        None where the radius was typed.
    """
    settings = OmegaConf.to_container(attack, resolve=False)
    assert isinstance(settings, dict)
    found = _DEFAULT.fullmatch(str(settings.get("eps")))
    if found is None:
        return None
    followed = found[1] and OmegaConf.select(attack._get_root(), found[1])
    return f"{found[1]}.eps" if followed and followed.get("norm") == attack.norm else "data.eps"

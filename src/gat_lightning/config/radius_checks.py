"""Checks of radii: every attack has one of its own norm."""

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig

from gat_lightning.attacks import parse_budget
from gat_lightning.attacks.norms import NORMS, as_norm
from gat_lightning.config.constructors import target_of, walk
from gat_lightning.config.naming import naming
from gat_lightning.config.radii import by_norm, source_of_radius
from gat_lightning.errors import SettingError, UserError
from gat_lightning.nearest import did_you_mean, nearest
from gat_lightning.validate import check_option

_EXAMPLES = {"Linf": "8/255", "L2": "0.5", "L1": "12"}


def check_radii(config: DictConfig) -> None:
    """Raise `UserError` where ``data.eps`` holds what is no radius, or lacks that of an attack's norm."""
    data = config.get("data")
    if data is not None and "eps" in data:
        _check_presets(data.eps)
    attacks = dict(_attacks(config))
    for path, attack in attacks.items():
        if isinstance(attack.eps, Mapping):
            raise UserError(
                f"{path}.eps={attack.eps}: an attack has one radius. To take that of its norm, write"
                " eps: ${radius:${data.eps},${.norm}} in the attack's file."
            )
    without = {path: attack for path, attack in attacks.items() if attack.eps is None and source_of_radius(attack)}
    for path, attack in without.items():
        _check_norm(config, path, attack)
    if without:
        path, attack = next(iter(without.items()))
        raise UserError(
            f"{path}.norm={attack.norm}: data.eps has no radius for this norm{_known(data)}. Set {path}.eps, such as"
            f" {path}.eps={_EXAMPLES[attack.norm]}, in units of [0, 1] pixels."
        )


def untyped_radii(config: DictConfig, presets: Any) -> list[str]:
    """What to say about each attack in another norm than L-infinity whose radius nobody typed.

    Args:
        config: the whole configuration.
        presets: ``eps`` of the data set; an evaluation takes what it lacks from the checkpoint's training.
    """
    return [
        f"{path}.norm={attack.norm}: radius {attack.eps} from"
        f" {'data.eps' if attack.norm in by_norm(presets) else 'the attack.eps of the training'}"
        for path, attack in _attacks(config)
        if attack.norm != "Linf" and source_of_radius(attack) == "data.eps"
    ]


def _attacks(config: DictConfig) -> Iterator[tuple[str, DictConfig]]:
    """Path and settings of what has a norm and a radius: attacks, and methods with an attack of their own."""
    found = {path.removesuffix(".norm"): node for path, node, key in walk(config) if key == "norm" and "eps" in node}
    for path in sorted(found, key=lambda path: path.count(".")):
        if path.rpartition(".")[2] in ("attack", "method"):
            yield path, found[path]


def _check_norm(config: DictConfig, path: str, attack: DictConfig) -> None:
    """Raise `UserError` unless there is such a norm, and the attack is defined in it."""
    target = target_of(path, attack) if "_target_" in attack else None
    defined = getattr(target, "norms", ()) or NORMS.values()
    with naming(config, path):
        check_option("norm", as_norm(attack.norm).name, [norm.name for norm in defined])


def _check_presets(presets: Any) -> None:
    for norm, eps in by_norm(presets).items():
        name = f"data.eps.{norm}" if isinstance(presets, Mapping) else "data.eps"
        if norm not in NORMS:
            meant = did_you_mean(nearest(norm, NORMS), "data.eps.", ".")
            raise UserError(f"{name}: there is no norm {norm}{meant} Norms: {', '.join(NORMS)}.")
        try:
            parse_budget(eps, name, 0, 1 if norm == "Linf" else float("inf"), closed="right")
        except SettingError as error:
            raise UserError(error.spelled(name, "null")) from error


def _known(data: DictConfig | None) -> str:
    presets = {} if data is None else by_norm(data.get("eps"))
    return f", only {', '.join(f'{norm} ({eps})' for norm, eps in presets.items())}" if presets else ""

"""Allowed values of an evaluation's settings."""

from __future__ import annotations

from omegaconf import DictConfig

from gat_lightning.attacks.budget import parse_budget
from gat_lightning.config.naming import naming
from gat_lightning.config.ranges import flag, one_of, whole
from gat_lightning.errors import UserError
from gat_lightning.runs.metric_names import SPLITS

_RANGES = {
    "split": one_of(*SPLITS),
    "images": whole(1, None),
    "batch_size": whole(1),
    "subset": whole(1, None),
    "audit": flag(),
    "vulnerability": flag(),
    "pictures": flag(),
    "device": one_of("auto", "cpu", "cuda", "mps"),
}


def check_evaluation(config: DictConfig) -> None:
    """Raise `UserError` for the first setting that is out of its range."""
    for name, allowed in _RANGES.items():
        if not allowed.holds(config[name]):
            raise UserError(f"{name}={config[name]!r}: it must be {allowed.right}.")
    if config.resume not in (None, "auto"):
        raise UserError(f"resume={config.resume!r}: it must be auto or null.")
    views = {f"evaluation.{view}": node for view, node in (config.get("evaluation") or {}).items()}
    for name, node in {**views, "curve": config.curve}.items():
        if node.attack.tasks != config.attack.tasks:
            raise UserError(f"{name}.attack.tasks: one evaluation attacks the same tasks; set attack.tasks.")
    normalize = config.normalize
    if normalize not in (None, "data") and not (
        isinstance(normalize, DictConfig) and set(normalize) == {"mean", "std"}
    ):
        raise UserError(f"normalize={normalize!r}: it must be null, data, or {{mean: [...], std: [...]}}.")
    with naming(config, "curve"):
        for eps in config.curve.eps:
            parse_budget(eps, "eps", 0)

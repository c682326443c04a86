"""Threat models: figures under different threat models are not comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gat_lightning.attacks import parse_budget
from gat_lightning.attacks.budget import Radius
from gat_lightning.runs.metric_names import CLEAN, WORST
from gat_lightning.runs.settings_history import first_spelling


@dataclass(frozen=True)
class Threat:
    """Threat model: a ball of perturbations, and the tasks whose loss is attacked.

    Attributes:
        norm: ``Linf``, ``L2`` or ``L1``.
        eps: radius in units of [0, 1] pixels, shown as it was typed.
        tasks: ``target``, ``auxiliary`` or ``all``.
    """

    norm: str
    eps: float
    tasks: str = "target"

    def __str__(self) -> str:
        return f"{self.norm} {Radius(self.eps)}" + ("" if self.tasks == "target" else f" {self.tasks}")

    @classmethod
    def of_training(cls, config: Mapping[str, Any]) -> Threat | None:
        """Threat model of the test after training; None if unknown."""
        return _of((config.get("test") or {}).get("attack"))

    @classmethod
    def of_foreign(cls, config: Mapping[str, Any]) -> Threat | None:
        """Threat model that an evaluation sets for all its attacks, used if that of the training is unknown."""
        return _of(config.get("attack"))

    @classmethod
    def of_evaluation(cls, config: Mapping[str, Any], view: str) -> Threat | None:
        """Threat model of a view; None for clean images and for attacks without a choice of norm, such as C&W."""
        if view == CLEAN:
            return None
        if (point := _on_curve(config, view)) is not None:
            return _of(point)
        views = config.get("evaluation") or {}
        return _of(views[view]["attack"] if view in views else config.get("attack"))


def attacks_behind(config: Mapping[str, Any], view: str) -> dict[str, dict[str, Any]]:
    """Settings of the attacks of a view of an evaluation, by name, without the seed.

    Args:
        config: configuration of the evaluation.
        view: name of an attack or of a point of a curve, or ``worst`` for all attacks; ``clean`` has none.
    """
    point = _on_curve(config, view)
    found = {} if point is None else {view: _comparable(point)}
    for name, node in (config.get("evaluation") or {}).items():
        if view in (WORST, name):
            found[name] = _comparable(node["attack"])
    return found


def attacks_in_test(config: Mapping[str, Any], view: str) -> dict[str, dict[str, Any]]:
    """The same for the test of a training, whose first attack has its own name."""
    test = config.get("test") or {}
    attack = ((test.get("also") or {}).get(view) or test).get("attack")
    return {} if view == CLEAN or attack is None else {view: _comparable(attack)}


def _on_curve(config: Mapping[str, Any], view: str) -> dict[str, Any] | None:
    """Settings of the attack of a point of a robustness curve, such as ``pgd20@0.05``; None for other views."""
    _, at, eps = view.rpartition("@")
    return {**config["curve"]["attack"], "eps": eps} if at else None


def _comparable(attack: Mapping[str, Any]) -> dict[str, Any]:
    earlier = first_spelling({"attack": dict(attack)})["attack"]  # so that older evaluations compare to newer ones
    found = {key: value for key, value in earlier.items() if key != "seed"}
    return found | {"eps": parse_budget(found["eps"], "eps")} if "eps" in found else found


def _of(attack: Mapping[str, Any] | None) -> Threat | None:
    if not attack or "norm" not in attack or attack.get("eps") is None:
        return None
    return Threat(str(attack["norm"]), parse_budget(attack["eps"], "eps"), str(attack.get("tasks", "target")))

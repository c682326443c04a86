"""Points of a robustness curve, the accuracy over the radius of one attack, and how they agree with the evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gat_lightning.attacks import Attack


@dataclass(frozen=True)
class CurvePoint:
    """One radius of a curve.

    Attributes:
        view: name of the point, such as ``pgd20@0.05``; ``curve-pgd20@0.05`` where the evaluation has another attack of
            that name, with other settings.
        attack: the attack with this radius.
        twin: the view of the evaluation whose attack has the same settings but for the radius; None if there is none.
            Its random numbers are the curve's.
    """

    view: str
    attack: Attack
    twin: str | None


def curve_point(attack: Attack, evaluated: Mapping[str, Attack]) -> CurvePoint:
    """The point of an attack, which has not run yet.

    Args:
        attack: with the radius of the point.
        evaluated: the attacks of the evaluation, by view, with the same radius; not run yet either.
    """
    twin = next((view for view, other in evaluated.items() if _has_settings_of(other, attack)), None)
    differs = attack.name in evaluated and twin != attack.name
    return CurvePoint(f"{'curve-' if differs else ''}{attack.name}@{attack.eps:.6g}", attack, twin)


def _has_settings_of(other: Attack, attack: Attack) -> bool:
    return type(other) is type(attack) and vars(other) == vars(attack)

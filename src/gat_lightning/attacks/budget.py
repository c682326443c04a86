"""Perturbation budgets and step sizes as users write them: ``0.03``, ``"0.03"`` or ``"8/255"``."""

import math
from fractions import Fraction

from gat_lightning.attacks.norms import Linf, Norm
from gat_lightning.errors import SettingError
from gat_lightning.validate import Closed, check_real


def parse_budget(
    value: float | str,
    name: str = "eps",
    low: float = -math.inf,
    high: float = math.inf,
    *,
    closed: Closed = "both",
    also: tuple[object, ...] = (),
) -> float:
    """The number that an argument such as ``eps`` stands for.

    Args:
        value: a number, or a decimal or fraction as text (``"0.5"``, ``"8/255"``, ``"1e-3"``).
        name: the argument's name, for the message.
        low: lower end of the interval in which it must lie.
        high: upper end.
        closed: which ends belong to the interval.
        also: other values that the caller accepts, for the message.

    Returns:
        A finite float.

    Raises:
        SettingError: ``value`` is no number, not finite, divides by zero, or lies outside the interval.
    """
    number = _from_text(value) if isinstance(value, str) else value
    try:
        return float(check_real(name, number, low, high, closed=closed, example="0.03 or 8/255"))
    except SettingError as error:
        raise SettingError(name, value, error.right, also) from None


def parse_radius(value: float | str | None, norm: Norm) -> float:
    """The radius of a ball: at least 0, and at most 1 in L-infinity, where 8/255 is the default.

    Raises:
        SettingError: ``value`` is no number, or out of range.
        ValueError: ``value`` is None, and the norm has no default.
    """
    if value is None:
        if not isinstance(norm, Linf):
            raise ValueError(
                f"norm={norm.name} needs a radius: set eps, such as eps=0.5; the default, 8/255, is for Linf."
            )
        value = "8/255"
    return parse_budget(value, "eps", 0, 1 if isinstance(norm, Linf) else math.inf)


def _from_text(text: str) -> float:
    """The number; NaN for what is none."""
    text = "".join(text.lower().split())
    try:
        # Fraction("1e999999999") would compute that power exactly; float does not.
        return float(text) if "e" in text else float(Fraction(text))
    except (ValueError, ZeroDivisionError, OverflowError):
        return math.nan

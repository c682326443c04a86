"""Perturbation budgets and step sizes as users write them: ``0.03``, ``"0.03"`` or ``"8/255"``."""

from __future__ import annotations

import math
from fractions import Fraction

from gat_lightning.errors import UserError


def parse_budget(value: float | str, name: str = "eps") -> float:
    """The number that a setting such as ``attack.eps`` stands for.

    Args:
        value: a number, or a decimal or fraction as text (``"0.5"``, ``"8/255"``, ``"1e-3"``).
        name: the setting's name, for the message.

    Returns:
        A finite float; its sign is not judged here.

    Raises:
        UserError: ``value`` is no number, not finite, or divides by zero.
    """
    problem = UserError(f"attack.{name}={value!r} is not a number; write it as 0.03 or as 8/255")
    if isinstance(value, bool):
        raise problem
    try:
        number = _from_text(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        raise problem from None
    if not math.isfinite(number):
        raise problem
    return number


def _from_text(text: str) -> float:
    text = "".join(text.lower().split())
    # Fraction("1e999999999") would compute that power exactly; float does not.
    return float(text) if "e" in text else float(Fraction(text))

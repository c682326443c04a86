"""Perturbation budgets and step sizes as users write them: ``0.03``, ``"0.03"`` or ``"8/255"``."""

import math
from collections.abc import Sequence
from fractions import Fraction

from gat_lightning.attacks.norms import Linf, Norm
from gat_lightning.errors import SettingError
from gat_lightning.validate import Closed, check_real


class Radius(float):
    """A number that ``str`` shows as it was typed: ``Radius("8/255")`` is 0.0313..., and shown as ``8/255``."""

    typed: str

    def __new__(cls, value: float | str, typed: str | None = None) -> "Radius":
        """Read the number; NaN for text that is none.

        Args:
            value: the number, or text that is read as such.
            typed: how to show it, if not as ``value``.
        """
        number = _from_text(value) if isinstance(value, str) else value
        made = super().__new__(cls, number)
        as_given = "".join(value.split()) if isinstance(value, str) else getattr(value, "typed", f"{number:.6g}")
        made.typed = typed or as_given
        return made

    def __str__(self) -> str:
        return self.typed

    def __getnewargs__(self) -> tuple[float, str]:  # type: ignore[override]  # of copy and pickle
        return float(self), self.typed

    @property
    def denominator(self) -> str | None:
        """``255`` of ``8/255``; None if it was typed as a decimal."""
        return self.typed.partition("/")[2] or None


def in_one_unit(radii: Sequence[float]) -> list[str]:
    """Radii as they were typed; if one is a fraction, all are shown with the denominator of the first that is."""
    read = [Radius(radius) for radius in radii]
    denominator = next(filter(None, (radius.denominator for radius in read)), None)
    if denominator is None:
        return [str(radius) for radius in read]
    return [
        str(radius) if radius.denominator == denominator else f"{radius * float(denominator):.4g}/{denominator}"
        for radius in read
    ]


def parse_budget(
    value: float | str,
    name: str = "eps",
    low: float = -math.inf,
    high: float = math.inf,
    *,
    closed: Closed = "both",
    also: tuple[object, ...] = (),
) -> Radius:
    """The number that an argument such as ``eps`` stands for.

    Args:
        value: a number, or a decimal or fraction as text (``"0.5"``, ``"8/255"``, ``"1e-3"``).
        name: the argument's name, for the message.
        low: lower end of the interval in which it must lie.
        high: upper end.
        closed: which ends belong to the interval.
        also: other values that the caller accepts, for the message.

    Returns:
        A finite number, which is shown as it was typed.

    Raises:
        SettingError: ``value`` is no number, not finite, divides by zero, or lies outside the interval.
    """
    number = _from_text(value) if isinstance(value, str) else value
    try:
        check_real(name, number, low, high, closed=closed, example="0.03 or 8/255")
    except SettingError as error:
        raise SettingError(name, value, error.right, also) from None
    return Radius(value)


def parse_radius(value: float | str | None, norm: Norm) -> Radius:
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

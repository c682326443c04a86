"""How a measured figure is written."""

from __future__ import annotations

_SHARES = ("accuracy", "auroc")


def written(metric: str, value: float) -> str:
    """``98.3 %`` for metrics that are shares, such as ``test/clean/accuracy``; four digits for the others."""
    return f"{value:.1%}" if metric.rpartition("/")[2] in _SHARES else f"{value:.4g}"

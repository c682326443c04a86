"""How a measured figure is written."""

from __future__ import annotations

_SHARES = ("accuracy", "auroc")


def is_share(metric: str) -> bool:
    """Whether the metric, such as ``test/clean/accuracy``, is a share in [0, 1], written in percent."""
    return metric.rpartition("/")[2] in _SHARES


def written(metric: str, value: float) -> str:
    """``98.3 %`` for metrics that are shares, such as ``test/clean/accuracy``; four digits for the others."""
    return f"{value:.1%}" if is_share(metric) else f"{value:.4g}"

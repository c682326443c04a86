"""Words for what runs record under short names: attacks, metrics, radii and p-values."""

import re

from gat_lightning.attacks.budget import Radius
from gat_lightning.evaluation.threat import Threat
from gat_lightning.runs.metric_names import CLEAN, WORST, MetricName

_VIEWS = {
    CLEAN: "clean", WORST: "worst", "autoattack": "AutoAttack", "apgd_ce": "APGD-CE", "apgd_t": "APGD-T",
    "square": "Square", "fab": "FAB", "cw": "C&W", "fgsm": "FGSM", "bim": "BIM", "mim": "MIM",
}  # fmt: skip
_NORMS = {"Linf": "L∞", "L2": "L2", "L1": "L1"}
_METRICS = {"accuracy": "accuracy", "auroc": "AUROC", "mae": "mean absolute error", "l1": "L1 error"}


def view_words(view: str) -> str:
    """A view as papers name it: ``PGD-20`` for ``pgd20``, with what follows the name: ``PGD-20 L2 0.5``."""
    return re.sub(r"\w+", lambda found: _attack(found[0]), view)


def _attack(name: str) -> str:
    steps = re.fullmatch(r"pgd(\d+)", name)
    return f"PGD-{steps[1]}" if steps else _VIEWS.get(name, name)


def metric_words(metric: MetricName) -> str:
    """Header of a column: ``PGD-20 accuracy (%)``."""
    unit = " (%)" if metric.is_share else ""
    return f"{view_words(metric.view)} {_METRICS.get(metric.metric, metric.metric)}{unit}"


def axis_words(metric: MetricName) -> str:
    """Label of an axis: ``accuracy under AutoAttack``."""
    name = _METRICS.get(metric.metric, metric.metric)
    view = metric.view.partition(" ")[0]
    where = {CLEAN: "on clean images", WORST: f"under the {view_words(metric.view)} attack"}
    return f"{name} {where.get(view, f'under {view_words(metric.view)}')}"


def threat_symbols(threat: Threat) -> str:
    """``L∞, ε = 8/255``."""
    tasks = "" if threat.tasks == "target" else f" {threat.tasks}"
    return f"{_NORMS.get(threat.norm, threat.norm)}, ε = {Radius(threat.eps)}{tasks}"


def p_words(p_value: float) -> str:
    """``0.012``; ``< 0.001`` below that."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def counted(number: int, what: str) -> str:
    """``1 seed``, ``1,000 images``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"

"""Columns of a table: the metrics of its settings, and which of them is the strongest attack."""

from collections.abc import Sequence

from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.like_attacks import strongest_alone
from gat_lightning.runs.metric_names import CLEAN, MetricName

_STRONGEST_FIRST = ("autoattack", "worst", "full", "apgd_t", "apgd_ce", "pgd100", "pgd50", "pgd20", "pgd10")


def columns(groups: Sequence[Group], checkpoint: str) -> list[MetricName]:
    """Test metrics of the groups: clean ones first, then by strength of the attack, those of other threats last.

    Without points of curves, and without the worst case over a single attack.
    """
    names = {
        name
        for each in groups
        for record in each.records
        for name, recorded in record.recorded(checkpoint).items()
        if "@" not in name.view and not strongest_alone(record, recorded.view)
    }

    def place(name: MetricName) -> tuple[bool, int, str]:
        strength = -1 if name.view == CLEAN else len(_STRONGEST_FIRST) - _rank(name.view)
        return " " in name.view, strength, str(name)

    return sorted(names, key=place)


def robust_metric(groups: Sequence[Group], checkpoint: str, view: str | None = None) -> MetricName | None:
    """The metric under the attack ``view``, or under the strongest one.

    The strongest attack is one of those that at least half as many models were tested with as with any other.
    """
    names = [name for name in columns(groups, checkpoint) if name.view != CLEAN]
    chosen = [name for name in names if view in (None, name.view)]
    models = {name: sum(len(each.values(name, checkpoint)) for each in groups) for name in chosen}
    common = [name for name in chosen if 2 * models[name] >= max(models.values())]
    return min(common, key=lambda name: (_rank(name.view), -models[name]), default=None)


def clean_metric(names: Sequence[MetricName]) -> MetricName | None:
    """The first metric on clean images."""
    return next((name for name in names if name.view == CLEAN), None)


def ordered(groups: Sequence[Group], robust: MetricName | None, checkpoint: str, first: Group | None) -> list[Group]:
    """The groups by their robust metric, the best one first, after ``first``; those without it come last."""

    def place(each: Group) -> tuple[bool, bool, float, str]:
        found = None if robust is None else each.summary(robust, checkpoint)
        if found is None or robust is None:
            return each is not first, True, 0.0, each.label
        return each is not first, False, found.mean if robust.lower_is_better else -found.mean, each.label

    return sorted(groups, key=place)


def _rank(view: str) -> int:
    name = view.partition(" ")[0]
    return _STRONGEST_FIRST.index(name) if name in _STRONGEST_FIRST else len(_STRONGEST_FIRST)

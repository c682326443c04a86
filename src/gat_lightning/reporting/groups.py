"""Groups of runs that differ only in the seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from gat_lightning.evaluation.statistics import MeanStd, mean_std
from gat_lightning.reporting.labels import label
from gat_lightning.reporting.records import Conditions, Record
from gat_lightning.runs.metric_names import CLEAN, MetricName

_STRONGEST_FIRST = ("autoattack", "worst", "full", "apgd_t", "apgd_ce", "pgd100", "pgd50", "pgd20", "pgd10")


@dataclass
class Group:
    """Runs of one setting, on one data set and under one threat model.

    Attributes:
        label: label that distinguishes it from the other groups on these data.
        conditions: data set and threat model.
        records: its trainings and evaluations, of any number of seeds.
    """

    label: str
    conditions: Conditions
    records: list[Record] = field(default_factory=list)

    @property
    def seeds(self) -> list[int]:
        """Of its trainings, ascending."""
        return sorted({record.seed for record in self.records})

    def values(self, metric: MetricName, checkpoint: str) -> dict[int, float]:
        """A metric by seed. Of several evaluations, the one with the most images counts.

        A training's own score counts if there is no other, or if it is known to be over more images under the same
        attack.
        """
        return {seed: record.scores(checkpoint)[metric] for seed, record in self._scored(metric, checkpoint).items()}

    def images(self, metric: MetricName, checkpoint: str) -> dict[int, int | None]:
        """Number of images of each value; None means the whole test split of unknown size."""
        return {seed: record.images for seed, record in self._scored(metric, checkpoint).items()}

    def summary(self, metric: MetricName, checkpoint: str) -> MeanStd | None:
        """Mean and standard deviation over the seeds."""
        values = self.values(metric, checkpoint)
        return mean_std(list(values.values())) if values else None

    def metrics(self, checkpoint: str) -> set[MetricName]:
        """Names of its test metrics."""
        return {name for record in self.records for name in record.scores(checkpoint)}

    def _scored(self, metric: MetricName, checkpoint: str) -> dict[int, Record]:
        having = [record for record in self.records if metric in record.scores(checkpoint)]
        having.sort(
            key=lambda record: (
                record.is_evaluation,
                math.inf if record.images is None else record.images,
            )
        )
        scored: dict[int, Record] = {}
        for record in having:
            if not _is_over_more(scored.get(record.seed), record, metric.view):
                scored[record.seed] = record
        return scored


def group(records: Sequence[Record]) -> list[Group]:
    """Group runs by settings and conditions, with distinguishing labels, ordered by label."""
    settings: dict[tuple[tuple[str, str], ...], list[Record]] = {}
    for record in records:
        settings.setdefault(tuple(sorted(record.settings.items())), []).append(record)
    groups: dict[tuple[str, Conditions], Group] = {}
    for text, equal in zip(label(list(settings.values())), settings.values(), strict=True):
        for record in equal:
            each = groups.setdefault((text, record.conditions), Group(text, record.conditions))
            each.records.append(record)
    return sorted(groups.values(), key=lambda each: (each.label, str(each.conditions)))


def comparable(groups: Sequence[Group]) -> dict[Conditions, list[Group]]:
    """The groups of each data set and threat model, ordered by name."""
    found: dict[Conditions, list[Group]] = {}
    for each in sorted(groups, key=lambda each: str(each.conditions)):
        found.setdefault(each.conditions, []).append(each)
    return found


def columns(groups: Sequence[Group], checkpoint: str) -> list[MetricName]:
    """Test metrics of the groups, without points of curves: clean metrics first, then by strength of the attack."""
    names = {name for each in groups for name in each.metrics(checkpoint) if "@" not in name.view}

    def place(name: MetricName) -> tuple[int, str]:
        order = [CLEAN, *reversed(_STRONGEST_FIRST)]
        return (order.index(name.view) if name.view in order else 1, str(name))

    return sorted(names, key=place)


def robust_metric(groups: Sequence[Group], checkpoint: str, view: str | None = None) -> MetricName | None:
    """The metric under the attack ``view``, or under the strongest attack of those that most models have in common."""
    names = [name for name in columns(groups, checkpoint) if name.view != CLEAN]
    chosen = [name for name in names if view in (None, name.view)]
    models = {name: sum(len(each.values(name, checkpoint)) for each in groups) for name in chosen}
    ranked = sorted(chosen, key=lambda name: (-models[name], _rank(name.view)))
    return ranked[0] if ranked else None


def clean_metric(names: Sequence[MetricName]) -> MetricName | None:
    """The first metric on clean images."""
    return next((name for name in names if name.view == CLEAN), None)


def _is_over_more(first: Record | None, second: Record, view: str) -> bool:
    """Whether the first is known to be under the same attack on more images."""
    if first is None:
        return False
    one, other = first.images, second.images
    return one is not None and other is not None and one > other and first.attacks(view) == second.attacks(view)


def _rank(view: str) -> int:
    return _STRONGEST_FIRST.index(view) if view in _STRONGEST_FIRST else len(_STRONGEST_FIRST)

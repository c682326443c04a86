"""Runs that differ in nothing but the seed, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gat_lightning.evaluation.statistics import MeanStd, mean_std
from gat_lightning.reporting.records import Record

_NOT_IN_A_LABEL = (
    "seed=", "name=", "paths.", "hydra", "logger=", "resume=", "skip_finished=", "trainer.devices=",
    "trainer.accelerator=",
)  # fmt: skip
LOWER_IS_BETTER = ("mae", "l1")
_STRONGEST_FIRST = ("autoattack", "worst", "full", "apgd_t", "apgd_ce", "pgd100", "pgd50", "pgd20", "pgd10")


@dataclass
class Group:
    """One setting.

    Attributes:
        label: what tells it from the other groups.
        records: its trainings and evaluations, of any number of seeds.
    """

    label: str
    records: list[Record] = field(default_factory=list)

    @property
    def seeds(self) -> list[int]:
        """Of its trainings, ascending."""
        return sorted({record.seed for record in self.records})

    def values(self, metric: str, checkpoint: str) -> dict[int, float]:
        """A metric by seed; where a training and an evaluation both have it, the evaluation's."""
        found: dict[int, float] = {}
        for record in sorted(self.records, key=lambda record: record.is_evaluation):
            metrics = record.result["metrics"].get(checkpoint) or record.result["metrics"].get("model") or {}
            if metrics.get(metric) is not None:
                found[record.seed] = float(metrics[metric])
        return found

    def summary(self, metric: str, checkpoint: str) -> MeanStd | None:
        """Mean and standard deviation over the seeds."""
        values = self.values(metric, checkpoint)
        return mean_std(list(values.values())) if values else None

    def metrics(self, checkpoint: str) -> set[str]:
        """Names of its test metrics."""
        names: set[str] = set()
        for record in self.records:
            metrics = record.result["metrics"].get(checkpoint) or record.result["metrics"].get("model") or {}
            names |= {name for name in metrics if name.count("/") >= 2}
        return names


def group(records: Sequence[Record]) -> list[Group]:
    """Groups of equal settings, with labels that tell them apart and in the labels' order."""
    groups: dict[tuple[tuple[str, str], ...], Group] = {}
    for record in records:
        key = tuple(sorted(record.settings.items()))
        groups.setdefault(key, Group("")).records.append(record)
    found = list(groups.values())
    _name(found)
    return sorted(found, key=lambda each: each.label)


def columns(groups: Sequence[Group], checkpoint: str) -> list[str]:
    """Test metrics of the groups without points of curves: clean ones first, then by the strength of the attack."""
    names = {name for each in groups for name in each.metrics(checkpoint) if "@" not in name}

    def place(name: str) -> tuple[int, str]:
        view = name.split("/")[1]
        order = ["clean", *reversed(_STRONGEST_FIRST)]
        return (order.index(view) if view in order else 1, name)

    return sorted(names, key=place)


def robust_metric(groups: Sequence[Group], checkpoint: str, view: str | None = None) -> str | None:
    """The metric under the attack ``view``; by default under the strongest one that the most models have faced."""
    names = [name for name in columns(groups, checkpoint) if name.split("/")[1] != "clean"]
    chosen = [name for name in names if view in (None, name.split("/")[1])]
    models = {name: sum(len(each.values(name, checkpoint)) for each in groups) for name in chosen}
    ranked = sorted(chosen, key=lambda name: (-models[name], _rank(name.split("/")[1])))
    return ranked[0] if ranked else None


def clean_metric(names: Sequence[str]) -> str | None:
    """The first metric on clean images."""
    return next((name for name in names if name.split("/")[1] == "clean"), None)


def lower_is_better(metric: str) -> bool:
    """Whether the metric is an error."""
    return metric.rpartition("/")[2] in LOWER_IS_BETTER


def _rank(view: str) -> int:
    return _STRONGEST_FIRST.index(view) if view in _STRONGEST_FIRST else len(_STRONGEST_FIRST)


def _name(groups: list[Group]) -> None:
    typed = [_typed(each) for each in groups]
    if all(words is not None for words in typed):
        words = [[word for word in each or () if not word.startswith(_NOT_IN_A_LABEL)] for each in typed]
        common = set(words[0]).intersection(*words) if words else set()
        labels = [" ".join(word for word in each if word not in common) for each in words]
    else:
        labels = ["" for _ in groups]
    if len(set(labels)) < len(labels):
        labels = _by_settings(groups)
    for each, label in zip(groups, labels, strict=True):
        each.label = label or str(each.records[0].configuration.get("name", "default"))


def _typed(each: Group) -> tuple[str, ...] | None:
    return next((record.overrides for record in each.records if record.overrides is not None), None)


def _by_settings(groups: list[Group]) -> list[str]:
    """Labels made of the settings that differ; of a component that differs, its name alone."""
    tables = [each.records[0].settings for each in groups]
    names = sorted(set().union(*tables))
    different = [name for name in names if len({table.get(name) for table in tables}) > 1]
    components = {name.removesuffix("._target_") for name in different if name.endswith("._target_")}
    labels = []
    for table in tables:
        words = []
        for name in different:
            owner = next((part for part in components if name.startswith(f"{part}.")), None)
            if name not in table or (owner is not None and not name.endswith("._target_")):
                continue
            value = "none" if table[name] == "{}" else table[name].strip('"')
            words.append(f"{owner or name}={value.rpartition('.')[2] if owner else value}")
        labels.append(" ".join(words))
    return labels

"""Groups of runs that differ only in the seed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gat_lightning.evaluation.statistics import MeanStd, mean_std
from gat_lightning.reporting.conditions import Conditions
from gat_lightning.reporting.labels import BASE, labels
from gat_lightning.reporting.like_attacks import renamed
from gat_lightning.reporting.records import Record
from gat_lightning.runs.metric_names import MetricName


@dataclass
class Group:
    """Runs of one setting, on one data set and under one threat model.

    Attributes:
        label: label that distinguishes it from the other groups under these conditions.
        conditions: data set and threat model.
        words: the options in which the settings under these conditions differ, with its values.
        options: all its options and other settings; empty for a model that is not ours.
        records: its trainings and evaluations, of any number of seeds.
    """

    label: str
    conditions: Conditions
    words: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    @property
    def is_base(self) -> bool:
        """Whether the labels of the others say in what they differ from it."""
        return self.label.startswith(BASE)

    @property
    def trainings(self) -> list[Record]:
        """By seed, ascending."""
        return sorted((each for each in self.records if not each.is_evaluation), key=lambda record: record.seed)

    @property
    def evaluations(self) -> list[Record]:
        """Its evaluations."""
        return [record for record in self.records if record.is_evaluation]

    @property
    def seeds(self) -> list[int]:
        """Of its trainings, ascending."""
        return sorted({record.seed for record in self.records})

    def values(self, metric: MetricName, checkpoint: str) -> dict[int, float]:
        """A metric by seed, all over the same images."""
        return {seed: record.scores(checkpoint)[metric] for seed, record in self.scored(metric, checkpoint).items()}

    def images(self, metric: MetricName, checkpoint: str) -> dict[int, int | None]:
        """Number of images of each value; None means the whole test split of unknown size."""
        return {seed: record.images for seed, record in self.scored(metric, checkpoint).items()}

    def tested(self, metric: MetricName, checkpoint: str) -> tuple[int | None, str] | None:
        """The images of the values, see :attr:`Record.tested`; None without a value."""
        return next((record.tested for record in self.scored(metric, checkpoint).values()), None)

    def summary(self, metric: MetricName, checkpoint: str) -> MeanStd | None:
        """Mean and standard deviation over the seeds."""
        values = self.values(metric, checkpoint)
        return mean_std(list(values.values())) if values else None

    def metrics(self, checkpoint: str) -> set[MetricName]:
        """Names of its test metrics."""
        return {name for record in self.records for name in record.scores(checkpoint)}

    def scored(self, metric: MetricName, checkpoint: str) -> dict[int, Record]:
        """The run of each seed that the metric is of.

        Of figures over different images, those of most seeds count, then those over most images. Of a training and an
        evaluation over the same images, the evaluation counts, and of several evaluations the last one.
        """
        having = [record for record in self.records if metric in record.scores(checkpoint)]
        alike: dict[tuple[int | None, str], dict[int, Record]] = {}
        for record in sorted(having, key=lambda record: record.is_evaluation):
            alike.setdefault(record.tested, {})[record.seed] = record
        best = max(alike, key=lambda tested: (len(alike[tested]), tested[0] is not None, tested[0] or 0), default=None)
        return {} if best is None else alike[best]


def group(records: Sequence[Record]) -> list[Group]:
    """Group runs by settings and conditions, with distinguishing labels, ordered by conditions and label."""
    tables: dict[Conditions, dict[tuple[tuple[str, str], ...], list[Record]]] = {}
    for record in records:
        settings = tables.setdefault(record.conditions, {})
        settings.setdefault(tuple(sorted(record.settings.items())), []).append(record)
    groups = []
    for conditions, table in tables.items():
        members = iter(renamed(_with_whole_split([record for equal in table.values() for record in equal])))
        for label, equal in zip(labels(list(table.values())), table.values(), strict=True):
            runs = [next(members) for _ in equal]
            groups.append(Group(label.text, conditions, label.words, label.options, runs))
    return sorted(groups, key=lambda each: (str(each.conditions), each.label))


def _with_whole_split(records: Sequence[Record]) -> list[Record]:
    """The runs, which know the size of the test split if some of them do and agree."""
    known = {record.images for record in records if not record.is_limited and record.images is not None}
    return [replace(record, whole_split=next(iter(known))) for record in records] if len(known) == 1 else list(records)


def comparable(groups: Sequence[Group]) -> dict[Conditions, list[Group]]:
    """The groups of each data set and threat model, ordered by name."""
    found: dict[Conditions, list[Group]] = {}
    for each in sorted(groups, key=lambda each: str(each.conditions)):
        found.setdefault(each.conditions, []).append(each)
    return found

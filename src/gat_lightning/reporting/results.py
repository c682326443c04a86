"""Results of a report: for each data set and threat model a table of settings, since only those are comparable."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gat_lightning.reporting.columns import columns, ordered, robust_metric
from gat_lightning.reporting.conditions import Conditions
from gat_lightning.reporting.facts import base_setting
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.latex import latex
from gat_lightning.reporting.summary import Summary, summarise
from gat_lightning.reporting.tables import markdown
from gat_lightning.reporting.ties import EXPLANATION
from gat_lightning.reporting.words import counted, metric_words, threat_symbols, view_words
from gat_lightning.runs.metric_names import WORST, MetricName


@dataclass(frozen=True)
class Results:
    """Results of comparable settings.

    Attributes:
        conditions: data set and threat model.
        groups: the settings, the baseline first, then by the strongest attack.
        baseline: the baseline; None without one.
        robust: the metric under the strongest attack; None without one.
        summary: table of the settings.
        images: sentence about the numbers of images.
        checkpoint: whose metrics count.
    """

    conditions: Conditions
    groups: list[Group]
    baseline: Group | None
    robust: MetricName | None
    summary: Summary
    images: str
    checkpoint: str

    @property
    def title(self) -> str:
        """Data set and threat model: ``Digits, L∞, ε = 0.15``."""
        threat = [] if self.conditions.threat is None else [threat_symbols(self.conditions.threat)]
        return ", ".join([self.conditions.data or "unknown data", *threat])

    @property
    def anchor(self) -> str:
        """Name of its section, and of its folder of figures where there are several."""
        return re.sub(r"[^\w.]+", "-", str(self.conditions)).strip("-")

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the figures."""
        cells = [cell for row in self.summary.cells for cell in row]
        found = [self.images]
        if any(cell.summary is not None and cell.summary.n > 1 for cell in cells):
            found.append("±: standard deviation over the seeds.")
        if any(cell.interval is not None for cell in cells):
            found.append("Ranges: 95 % intervals, over three seeds or more (Student's t), else over the test images.")
        found += [text for column in self.summary.columns if (text := self._worst(column.metric))]
        return [*found, *([EXPLANATION] if any(cell.best for cell in cells) else [])]

    @property
    def text(self) -> str:
        """The notes in one paragraph, after what the base setting is, for readers without the page."""
        base = [f"{fact.name.capitalize()}: {fact.text}." for fact in base_setting(self.groups)]
        return " ".join([*base, *self.notes])

    def _worst(self, metric: MetricName) -> str:
        if metric.view.partition(" ")[0] != WORST:
            return ""
        behind = {
            name
            for each in self.groups
            for record in each.evaluations
            if record.shown(WORST) == metric.view
            for name in record.attacks(WORST)
        }
        names = ", ".join(view_words(name) for name in sorted(behind))
        return f"{metric_words(metric)}: images that are right under all of {names}."


def results(
    tables: Mapping[Conditions, Sequence[Group]],
    checkpoint: str,
    view: str | None = None,
    baselines: Mapping[Conditions, Group] | None = None,
) -> list[Results]:
    """The results under each conditions."""
    found = []
    for conditions, members in tables.items():
        baseline = (baselines or {}).get(conditions)
        robust = robust_metric(members, checkpoint, view)
        groups = ordered(members, robust, checkpoint, baseline)
        summary = summarise(groups, checkpoint, view)
        images = image_counts(groups, columns(groups, checkpoint), checkpoint)
        found.append(Results(conditions, groups, baseline, robust, summary, images, checkpoint))
    return found


def as_markdown(tables: Sequence[Results]) -> str:
    """Markdown, for a README."""
    return "\n".join(f"## {each.title}\n\n{markdown(each.summary)}\n{each.text}\n" for each in tables)


def as_latex(tables: Sequence[Results]) -> str:
    """LaTeX, for a paper."""
    return "\n".join(latex(each.summary, each.conditions, each.text) for each in tables)


def image_counts(groups: Sequence[Group], metrics: Sequence[MetricName], checkpoint: str) -> str:
    """Numbers of images: one for all metrics if they are equal, otherwise by metric."""
    whole = _whole_split(groups)
    seen = {
        metric: {count for each in groups for count in each.images(metric, checkpoint).values()} for metric in metrics
    }
    everywhere = set().union(*seen.values())
    if everywhere <= {None}:
        return "All figures are over the whole test split; the runs do not say how many images it has."
    if len(everywhere) == 1:
        (count,) = everywhere
        of_all = f" of the {whole:,}" if whole not in (None, count) else ""
        return f"All figures are over {count:,}{of_all} test images."
    texts = [f"{metric_words(metric)}: {_listed(numbers)}" for metric, numbers in seen.items()]
    return f"Not all figures are over the same test images; {'; '.join(texts)}."


def runs_counted(groups: Sequence[Group]) -> str:
    """``45 trainings and 45 evaluations of 15 settings``."""
    trainings = counted(sum(len(each.trainings) for each in groups), "training")
    evaluations = counted(sum(len(each.evaluations) for each in groups), "evaluation")
    return f"{trainings} and {evaluations} of {counted(len(groups), 'setting')}"


def _whole_split(groups: Sequence[Group]) -> int | None:
    """Number of images of the test split; None if unknown or contradictory."""
    records = [record for each in groups for record in each.records]
    known = {record.images for record in records if not record.is_limited and record.images is not None}
    return known.pop() if len(known) == 1 else None


def _listed(counts: set[int | None]) -> str:
    numbers = [f"{count:,}" for count in sorted(count for count in counts if count is not None)]
    return " or ".join([*numbers, *(["all"] if None in counts else [])])

"""Result tables of a report: one per data set and threat model, since only those figures are comparable."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gat_lightning.reporting import page
from gat_lightning.reporting.groups import Group, columns, comparable
from gat_lightning.reporting.tables import Summary, header, latex, markdown, summarise
from gat_lightning.runs.metric_names import MetricName


@dataclass(frozen=True)
class Results:
    """Results of comparable settings.

    Attributes:
        title: data set and threat model; empty if the report has no others.
        groups: the settings.
        summary: table of the settings.
        images: sentence about the numbers of images.
    """

    title: str
    groups: list[Group]
    summary: Summary
    images: str

    @property
    def folder(self) -> str:
        """Folder of the figures; empty if the report has no others."""
        return re.sub(r"[^\w.]+", "-", self.title).strip("-")

    def titled(self, text: str) -> str:
        """The title of a section."""
        return f"{text}: {self.title}" if self.title else text

    def section(self) -> page.Section:
        """The table for a page."""
        return page.Section(self.titled("Results"), page.table(self.summary) + page.note(self.images))


def results(groups: Sequence[Group], checkpoint: str) -> list[Results]:
    """One table for each data set and threat model."""
    found = comparable(groups)
    return [
        Results(
            str(conditions) if len(found) > 1 else "",
            members,
            summarise(members, checkpoint),
            image_counts(members, columns(members, checkpoint), checkpoint),
        )
        for conditions, members in found.items()
    ]


def as_markdown(tables: Sequence[Results]) -> str:
    """Markdown, for a README."""
    parts = [
        (f"## {each.title}\n\n" if each.title else "") + f"{markdown(each.summary)}\n{each.images}\n" for each in tables
    ]
    return "\n".join(parts)


def as_latex(tables: Sequence[Results]) -> str:
    """LaTeX, for a paper; the text of the caption is a comment."""
    parts = [(f"% {each.title}\n" if each.title else "") + f"% {each.images}\n{latex(each.summary)}" for each in tables]
    return "\n".join(parts)


def image_counts(groups: Sequence[Group], metrics: Sequence[MetricName], checkpoint: str) -> str:
    """Numbers of images: one for all metrics if they are equal, otherwise by metric."""
    whole = _whole_split(groups, checkpoint)
    seen: dict[MetricName, set[int | None]] = {}
    for metric in metrics:
        counts = {count for each in groups for count in each.images(metric, checkpoint).values()}
        seen[metric] = {whole if count is None else count for count in counts}
    everywhere = set().union(*seen.values())
    if everywhere <= {None}:
        return "All figures are over the whole test split; the runs do not say how many images it has."
    if len(everywhere) == 1:
        (count,) = everywhere
        of_all = f" of the {whole:,}" if whole not in (None, count) else ""
        return f"All figures are over {count:,}{of_all} test images."
    texts = [f"{header(metric)}: {_listed(numbers)}" for metric, numbers in seen.items()]
    return f"Not all figures are over the same test images; {'; '.join(texts)}."


def _whole_split(groups: Sequence[Group], checkpoint: str) -> int | None:
    """Number of images of the test split; None if unknown or contradictory."""
    records = [record for each in groups for record in each.records if record.scores(checkpoint)]
    known = {record.images for record in records if not record.is_limited and record.images is not None}
    return known.pop() if len(known) == 1 else None


def _listed(counts: set[int | None]) -> str:
    numbers = [f"{count:,}" for count in sorted(count for count in counts if count is not None)]
    return " or ".join([*numbers, *(["all"] if None in counts else [])])

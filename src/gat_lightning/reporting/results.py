"""The tables of a report: one for each data set and threat, since only within one is a figure better than another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gat_lightning.reporting import page
from gat_lightning.reporting.groups import Group, columns, comparable
from gat_lightning.reporting.image_counts import image_counts
from gat_lightning.reporting.tables import Summary, latex, markdown, summarise


@dataclass(frozen=True)
class Results:
    """Settings that are compared with each other.

    Attributes:
        title: data set and threat; empty where the report has no others.
        groups: the settings.
        summary: their table.
        images: over how many images its figures are.
    """

    title: str
    groups: list[Group]
    summary: Summary
    images: str

    @property
    def folder(self) -> str:
        """Of the figures; empty where the report has no others."""
        return re.sub(r"[^\w.]+", "-", self.title).strip("-")

    def titled(self, text: str) -> str:
        """The title of a section."""
        return f"{text}: {self.title}" if self.title else text

    def section(self) -> page.Section:
        """The table for a page."""
        return page.Section(self.titled("Results"), page.table(self.summary) + page.note(self.images))


def results(groups: Sequence[Group], checkpoint: str) -> list[Results]:
    """One table for each data set and threat."""
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
    """For a README."""
    parts = [
        (f"## {each.title}\n\n" if each.title else "") + f"{markdown(each.summary)}\n{each.images}\n" for each in tables
    ]
    return "\n".join(parts)


def as_latex(tables: Sequence[Results]) -> str:
    """For a paper; what a caption has to say is a comment."""
    parts = [(f"% {each.title}\n" if each.title else "") + f"% {each.images}\n{latex(each.summary)}" for each in tables]
    return "\n".join(parts)

"""What the runs of a table share, for the box above it, and what differs beside their settings."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.records import Record
from gat_lightning.reporting.summary import Summary
from gat_lightning.reporting.words import counted, threat_symbols

_SETTINGS = {
    "task": "tasks",
    "method": "method",
    "weighting": "weighting",
    "encoder": "encoder",
    "trainer.max_epochs": "epochs",
    "attack": "training attack",
    "attack.steps": "its steps",
    "curvature.mode": "curvature",
    "data.views": "input views",
    "data.fraction": "share of the training images",
    "data.batch_size": "batch size",
    "optimizer": "optimizer",
    "schedule": "schedule",
    "engine": "engine",
}
"""Settings that the box names, with its words for them."""

_VERSIONS = {"gat-lightning": "gat-lightning", "torch": "torch", "python": "Python"}


class Fact(NamedTuple):
    """A fact about runs.

    Attributes:
        name: such as ``epochs``.
        text: such as ``12``.
    """

    name: str
    text: str


def shared(groups: Sequence[Group], summary: Summary) -> list[Fact]:
    """What all runs of a table have in common: data, threat, settings, images, versions, commit, dates, device."""
    records = [record for each in groups for record in each.records]
    conditions = groups[0].conditions
    facts = [Fact("data", conditions.data or "unknown")]
    if conditions.threat is not None:
        facts.append(Fact("threat", threat_symbols(conditions.threat)))
    facts += [fact for name, words in _SETTINGS.items() if (fact := _shared_setting(groups, name, words)) is not None]
    if len(images := {column.images for column in summary.columns} - {None}) == 1:
        facts.append(Fact("test images", f"{images.pop():,}"))
    facts += [Fact(name, *values) for name, values in _circumstances(records).items() if len(values) == 1]
    facts += [Fact("dates", dates)] if (dates := _dates(records)) else []
    return [*facts, *base_setting(groups)]


def base_setting(groups: Sequence[Group]) -> list[Fact]:
    """The options of the setting that the labels of the others start from; empty without one."""
    found = [each for each in groups if each.is_base and each.words]
    return [Fact(each.label, " ".join(f"{name}={value}" for name, value in each.words.items())) for each in found]


def differing(groups: Sequence[Group]) -> list[Fact]:
    """Versions, commits and devices that are not the same for all runs, with the number of runs of each."""
    records = [record for each in groups for record in each.records]
    return [
        Fact(name, ", ".join(f"{value} ({counted(count, 'run')})" for value, count in values.items()))
        for name, values in _circumstances(records).items()
        if len(values) > 1
    ]


def _shared_setting(groups: Sequence[Group], name: str, words: str) -> Fact | None:
    ours = [each for each in groups if each.options]
    if not ours or any(name in each.words for each in ours):
        return None
    values = {_value(each, name) for each in ours} - {None}
    if len(values) != 1:
        return None
    (value,) = values
    return Fact(words, str(value))


def _value(each: Group, name: str) -> str | None:
    if name in each.options:
        return each.options[name]
    text = each.records[0].settings.get(name)
    return None if text is None else text.strip('"')


def _circumstances(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    """Each version, commit and device with the number of its runs."""
    found: dict[str, dict[str, int]] = {}
    of_run: dict[str, Callable[[Record], str]] = {
        **{words: lambda record, name=name: record.result.versions.get(name, "") for name, words in _VERSIONS.items()},  # type: ignore[misc]
        "commit": _commit,
        "device": _device,
    }
    for record in records:
        for name, read in of_run.items():
            if text := read(record):
                values = found.setdefault(name, {})
                values[text] = values.get(text, 0) + 1
    return found


def _commit(record: Record) -> str:
    git = record.result.git
    return "" if not git else f"{str(git.get('commit'))[:7]}{' with changes' if git.get('dirty') else ''}"


def _device(record: Record) -> str:
    device = record.result.device
    if not device:
        return ""
    kind = str(device.get("type", "")).upper()
    processes = f", {device['processes']} processes" if device.get("processes", 1) > 1 else ""
    threads = f", {counted(device['threads'], 'thread')}" if device.get("type") == "cpu" and "threads" in device else ""
    return f"{kind} {device.get('name', '')}".strip() + threads + processes


def _dates(records: Iterable[Record]) -> str:
    days = sorted({datetime.fromisoformat(record.result.started).date() for record in records if record.result.started})
    ends = list(dict.fromkeys([*days[:1], *days[-1:]]))
    return " to ".join(f"{day.day} {day:%B %Y}" for day in ends)

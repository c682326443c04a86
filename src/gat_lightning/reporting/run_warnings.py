"""Warnings of runs: what a training or an evaluation warned of, and what an evaluation left out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gat_lightning.evaluation.doubts import OutputCheck, non_finite_outputs, zero_gradients
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.records import Record
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.result import EvaluationResult, TrainingResult

_ENTRY = re.compile(r"\[[^]]+\]\[(?P<logger>[\w.]+)\]\[(?P<level>[A-Z]+)\] - (?P<text>.*)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass
class Warned:
    """A warning of the runs of a setting.

    Attributes:
        setting: label of the setting.
        text: the warning; of equal ones with other numbers the first.
        seeds: seeds of the runs, ascending.
    """

    setting: str
    text: str
    seeds: list[int] = field(default_factory=list)


def warnings(groups: Sequence[Group]) -> list[Warned]:
    """The warnings of all runs, in the order of the settings. Those that differ in numbers alone are one."""
    found: dict[tuple[str, str], Warned] = {}
    for each in groups:
        for record in sorted(each.records, key=lambda record: (record.is_evaluation, record.seed)):
            for text in _of_run(record):
                one = found.setdefault((each.label, _NUMBER.sub("#", text)), Warned(each.label, text))
                one.seeds = sorted({*one.seeds, record.seed})
    return list(found.values())


def _of_run(record: Record) -> Iterator[str]:
    recorded = record.result.warnings if isinstance(record.result, TrainingResult) else []
    yield from recorded or _logged(RunDirectory(record.directory))
    if isinstance(record.result, EvaluationResult):
        yield from record.result.notes
    for checks in record.result.checks.values():
        for view, found in checks.items():
            check = OutputCheck(found["images"], found["non_finite"], (), (), zero_gradient=found.get("zero_gradient"))
            if doubt := non_finite_outputs(check) or zero_gradients(check):
                yield f"test/{view}: {doubt}."


def _logged(run: RunDirectory) -> Iterator[str]:
    """Warnings and errors of our own loggers in the run's log, with their further lines."""
    if not run.log.is_file():
        return
    entry: list[str] = []
    for line in [*run.log.read_text(encoding="utf-8", errors="replace").splitlines(), None]:
        start = None if line is None else _ENTRY.fullmatch(line)
        if (line is None or start is not None) and entry:
            yield " ".join(entry)
            entry = []
        if start is not None:
            ours = start["logger"].startswith("gat_lightning") and start["level"] in ("WARNING", "ERROR")
            entry = [start["text"]] if ours else []
        elif entry and line is not None:
            entry.append(line.strip())

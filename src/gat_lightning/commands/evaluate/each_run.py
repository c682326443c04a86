"""Evaluation of all runs in a folder: ``runs=FOLDER`` becomes a sweep over their checkpoints."""

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep

from gat_lightning.errors import UserError
from gat_lightning.runs.directory import setting_of
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.validate import check_int

KINDS = ("best", "last", "ema", "swa")
"""Checkpoints that a run may have."""

_SWEEP = {"-m", "--multirun"}
_SHOWING = {"-h", "--help", "-c", "--cfg", "-i", "--info"}
"""Options with which Hydra shows something and runs nothing."""
_PLAIN = re.compile(r"[\w/.+-]+", re.ASCII)


def expanded(words: Sequence[str]) -> list[str]:
    """The command line with the checkpoints in place of ``runs``, and with the launcher that ``jobs`` stands for.

    Args:
        words: overrides, then Hydra's options, behind which Hydra reads no overrides.

    Raises:
        SettingError: ``jobs`` is no number of processes.
        UserError: there is no finished run, ``checkpoint`` is no kind of checkpoint, or ``jobs`` and another launcher
            are given.
    """
    typed = {setting_of(word): word for word in words if "=" in word and not word.startswith("-")}
    jobs = [check_int("jobs", 1 if number is None else number) for number in _values(typed, "jobs")]
    found, is_sweep = list(words), not _SWEEP.isdisjoint(words)
    if (folders := _values(typed, "runs")) != [None] and _SHOWING.isdisjoint(word.partition("=")[0] for word in words):
        kinds = [kind or "best" for kind in _values(typed, "checkpoint")]
        replaced = (typed["runs"], typed.get("checkpoint"))
        choices = ",".join(map(_quoted, checkpoints(folders, kinds)))
        found = [f"checkpoint={choices}", *(word for word in words if word not in replaced)]
        found, is_sweep = (found if is_sweep else ["-m", *found]), True
    if is_sweep and jobs != [1]:
        if "hydra/launcher" in typed:
            raise UserError(f"{typed['jobs']} starts the processes itself: leave out {typed['hydra/launcher']}.")
        found.insert(found.index(typed["jobs"]), "hydra/launcher=processes")
    return found


def checkpoints(folders: Sequence[Any], kinds: Sequence[Any]) -> list[Path]:
    """The checkpoints of the finished runs in and below folders. What is left out is printed with the reason.

    Raises:
        UserError: there are none, or a kind is not one of :data:`KINDS`.
    """
    from gat_lightning.reporting.records import collect  # imports torch, which other command lines need not yet

    for kind in kinds:
        if kind not in KINDS:
            raise UserError(f"checkpoint={kind}: with runs=FOLDER it must be one of: {', '.join(KINDS)}.")
    records, unusable = collect([str(folder) for folder in folders])
    trainings = [record.directory for record in records if not record.is_evaluation]
    left_out = [
        f"{each.directory}: {each.reason}" for each in unusable if not RunDirectory.of_evaluation(each.directory)
    ]
    found = []
    for directory, kind in product(trainings, kinds):
        path = RunDirectory(directory).checkpoint(kind)
        if path.is_file():
            found.append(path)
        else:
            left_out.append(f"{directory}: it has no checkpoints/{path.name}")
    where = ", ".join(map(str, folders))
    if not found:
        reasons = f" ({'; '.join(left_out[:3])})" if left_out else ""
        raise UserError(f"There is no finished run with a {' or '.join(kinds)}.ckpt in {where}{reasons}.")
    print("\n".join([f"Checkpoints of finished runs in {where}: {len(found)}", *map("left out: {}".format, left_out)]))
    return found


def _values(typed: dict[str, str], setting: str) -> list[Any]:
    """The values that a setting is given on the command line; [None] without any."""
    if setting not in typed:
        return [None]
    value = OverridesParser.create().parse_override(typed[setting]).value()
    values = value.list if isinstance(value, ChoiceSweep) else value
    return [getattr(each, "text", each) for each in (values if isinstance(values, list) else [values])]


def _quoted(path: Path) -> str:
    """A path as Hydra reads it."""
    text = str(path)
    return text if _PLAIN.fullmatch(text) else "'{}'".format(text.replace("'", "\\'"))

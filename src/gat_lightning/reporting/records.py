"""Runs read back from their directories."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gat_lightning.reporting.weight_shares import read_rows
from gat_lightning.result import SCHEMA
from gat_lightning.run_directory import RESULT

_NOT_A_SETTING = ("paths", "hydra", "debug", "logger", "resume", "skip_finished", "name", "seed", "callbacks")


@dataclass(frozen=True)
class Record:
    """A finished training or evaluation.

    Attributes:
        directory: of the run.
        result: content of ``result.json``.
    """

    directory: Path
    result: dict[str, Any]

    @property
    def is_evaluation(self) -> bool:
        """Whether it scores a model that was trained before."""
        return "trained" in self.result

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """Of the training; of the evaluation where the model is not ours."""
        return self.result.get("trained") or self.result["config"]

    @property
    def seed(self) -> int:
        """Of the training."""
        return int(self.configuration.get("seed", 0))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Everything that decides what was trained, but the seed: flat, by dotted names."""
        kept = {key: value for key, value in self.configuration.items() if key not in _NOT_A_SETTING}
        return dict(_flat(kept))

    @cached_property
    def overrides(self) -> tuple[str, ...] | None:
        """What was typed to train the model; None where it is not known any more."""
        home = self.directory
        if self.is_evaluation:
            checkpoint = self.result["config"].get("checkpoint")
            home = Path(checkpoint or "").parent.parent
        path = home / ".hydra" / "overrides.yaml"
        try:
            return tuple(map(str, OmegaConf.load(path)))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def files(self) -> dict[str, Any]:
        """Names of the other files, relative to the directory."""
        return self.result.get("files") or {}

    def history(self) -> list[dict[str, str]]:
        """Rows of ``metrics.csv``; none where there is no such file."""
        return read_rows(self.directory / self.files.get("metrics", "metrics.csv"))


@dataclass(frozen=True)
class Unusable:
    """A directory that the report cannot use, and why."""

    directory: Path
    reason: str


def collect(folders: Iterable[str | Path]) -> tuple[list[Record], list[Unusable]]:
    """Every run in or under some folders; those that are not finished, damaged or foreign are listed apart."""
    records: list[Record] = []
    unusable: list[Unusable] = []
    for directory in sorted(set(_candidates(folders))):
        found = _read(directory)
        if isinstance(found, Record):
            records.append(found)
        else:
            unusable.append(Unusable(directory, found))
    return records, unusable


def _candidates(folders: Iterable[str | Path]) -> Iterator[Path]:
    for folder in map(Path, folders):
        inside = [path.parent for path in folder.rglob(RESULT)]
        inside += [path.parent for path in folder.rglob(".hydra") if not (path.parent / RESULT).exists()]
        yield from (path for path in inside if not (path / "multirun.yaml").exists())
        if not inside:
            yield folder


def _read(directory: Path) -> Record | str:
    path = directory / RESULT
    if not directory.is_dir():
        return "there is no such folder"
    if not path.exists():
        return f"it has no {RESULT}: the run goes on, or was killed"
    try:
        result = json.loads(path.read_text())
        schema, status = result["schema"], result["status"]
    except (ValueError, KeyError, TypeError, OSError):
        return f"its {RESULT} is damaged, or not one of ours"
    if schema != SCHEMA:
        return f"its {RESULT} has schema {schema}, and this version reads {SCHEMA}"
    if status != "finished":
        return f"the run has {status}"
    if not isinstance(result.get("config"), dict) or not isinstance(result.get("metrics"), dict):
        return f"its {RESULT} lacks its configuration or its metrics"
    return Record(directory, result)


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            if (prefix, key) != ("data.", "seed"):
                yield from _flat(value, f"{prefix}{key}.")
    else:
        yield prefix.rstrip("."), json.dumps(node)

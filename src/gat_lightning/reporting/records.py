"""Records of runs, read from their directories."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gat_lightning.evaluation.threat import Threat, attacks_behind, attacks_in_test
from gat_lightning.reporting.conditions import Conditions, data_name
from gat_lightning.runs.layout import RESULT, RunDirectory
from gat_lightning.runs.metric_names import CLEAN, MetricName, target_scores
from gat_lightning.runs.result import EvaluationResult, TrainingResult, read_result
from gat_lightning.runs.settings_history import first_spelling

_NOT_A_SETTING = (
    "paths", "hydra", "debug", "logger", "resume", "skip_finished", "optimized_metric", "name", "seed", "callbacks",
)  # fmt: skip
_FOLLOW_THE_SEED = ("data.seed", "weighting.seed")
_THE_MODEL = ("checkpoint", "model", "weights", "normalize")


@dataclass(frozen=True)
class Record:
    """A finished training or evaluation.

    Attributes:
        directory: directory of the run.
        result: what it recorded.
        renamed: other names of views, where runs beside it were tested with other attacks of the same name.
        whole_split: number of images of the test split, as far as runs beside it say.
    """

    directory: Path
    result: TrainingResult | EvaluationResult
    renamed: Mapping[str, str] = field(default_factory=dict, compare=False)
    whole_split: int | None = field(default=None, compare=False)

    @property
    def is_evaluation(self) -> bool:
        """Whether it is an evaluation rather than a training."""
        return isinstance(self.result, EvaluationResult)

    @property
    def is_foreign(self) -> bool:
        """Whether it is an evaluation of a model with unknown training, such as an export."""
        return isinstance(self.result, EvaluationResult) and not self.result.trained

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """Configuration of the training; of the evaluation if the model is not ours."""
        trained = self.result.trained if isinstance(self.result, EvaluationResult) else None
        return trained or self.result.config

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return int(self.configuration.get("seed", 0))

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All settings of the training except the seed, flat, by dotted names; for other models, their origin.

        Settings have their first spelling, so that runs of several versions can be compared.
        """
        if self.is_foreign:
            return dict(_flat({key: self.configuration.get(key) for key in _THE_MODEL}))
        kept = {key: value for key, value in self.configuration.items() if key not in _NOT_A_SETTING}
        return {name: value for name, value in _flat(first_spelling(kept)) if name not in _FOLLOW_THE_SEED}

    @cached_property
    def overrides(self) -> tuple[str, ...] | None:
        """Overrides of the training; None if unknown.

        The training of an evaluation is the run that it lies in. That of an evaluation outside is where the evaluation
        found it or, if both were moved, beside the evaluation.
        """
        home: RunDirectory | None = RunDirectory(self.directory)
        if self.is_evaluation:
            home = RunDirectory.of_evaluation(self.directory)
            home = home or RunDirectory.of_checkpoint(self.result.config.get("checkpoint") or "")
            if home is not None and not home.path.is_dir():
                home = RunDirectory(self.directory.parent / home.path.name)
        if home is None:
            return None
        try:
            return tuple(map(str, OmegaConf.load(home.hydra / "overrides.yaml")))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def images(self) -> int | None:
        """Number of images of its test scores; None for the whole split of unknown size."""
        return self.whole_split if self.result.images is None and not self.is_limited else self.result.images

    @property
    def is_limited(self) -> bool:
        """Whether its test scores cover only a part of the images."""
        if self.is_evaluation:
            return self.result.config.get("images") is not None
        batches = (self.configuration.get("trainer") or {}).get("limit_test_batches")
        return batches is not None and not (isinstance(batches, float) and batches == 1)  # 1 is one batch, 1.0 all

    @property
    def tested(self) -> tuple[int | None, str]:
        """The number of images of its test scores, and the subset that they are; equal for equal images."""
        subset = first_spelling({"images": self.result.config.get("images")})["images"] if self.is_evaluation else ""
        return self.images, str(subset) if self.is_limited else ""

    def attacks(self, view: str) -> dict[str, dict[str, Any]]:
        """Settings of the attacks of a view, by name, as the first version would have had them."""
        return (attacks_behind if self.is_evaluation else attacks_in_test)(self.result.config, view)

    @cached_property
    def faced(self) -> dict[str, str]:
        """The attacks of each attacked view of its test scores, in JSON."""
        metrics = {name for measured in self.result.metrics.values() for name in measured or ()}
        found = {name.view: self.attacks(name.view) for name in target_scores(metrics, "test") if name.view != CLEAN}
        return {view: json.dumps(attacks, sort_keys=True) for view, attacks in found.items() if attacks}

    def scores(self, checkpoint: str) -> dict[MetricName, float]:
        """The target's test metrics of a checkpoint.

        If the threat model of an evaluation differs from that of the training's test, the view names it: ``pgd20 L2
        0.5``.
        """
        metrics = self.metrics(checkpoint)
        return {shown: float(metrics[str(name)]) for shown, name in self.recorded(checkpoint).items()}

    def recorded(self, checkpoint: str) -> dict[MetricName, MetricName]:
        """The names under which :meth:`scores` are in the run's own files."""
        metrics = self.metrics(checkpoint)
        names = [name for name in target_scores(metrics, "test") if metrics[str(name)] is not None]
        return {replace(name, view=self.shown(name.view)): name for name in names}

    def shown(self, view: str) -> str:
        """Name of a view in a report."""
        return self.renamed.get(view, f"{view}{self._other_threat(view)}")

    def metrics(self, checkpoint: str) -> dict[str, Any]:
        """All metrics of a checkpoint. Other models have a single checkpoint, whatever its name."""
        measured = self.result.metrics
        return (next(iter(measured.values()), {}) if self.is_foreign else measured.get(checkpoint)) or {}

    @cached_property
    def conditions(self) -> Conditions:
        """Data set and threat model within which its scores are comparable."""
        usual = self.configuration.get("data") or {}
        data = self.result.config.get("data") or {}
        threat = (Threat.of_foreign if self.is_foreign else Threat.of_training)(self.configuration)
        return Conditions(data_name(data if "_target_" in data else usual, usual), threat)

    def _other_threat(self, view: str) -> str:
        usual = self.conditions.threat
        threat = Threat.of_evaluation(self.result.config, view) if self.is_evaluation else None
        return "" if usual is None or threat is None or usual == threat else f" {threat}"

    def history(self) -> list[dict[str, str]]:
        """Rows of ``metrics.csv``; empty if there is no such file."""
        return RunDirectory(self.directory).history()


@dataclass(frozen=True)
class Unusable:
    """A directory that the report skips, and the reason."""

    directory: Path
    reason: str


def collect(folders: Iterable[str | Path]) -> tuple[list[Record], list[Unusable]]:
    """Collect all runs in and below folders. Skipped runs (unfinished, damaged, not ours) are listed separately."""
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
        yield from (
            path for path in inside if not (path / "multirun.yaml").exists() and not RunDirectory(path).is_stage
        )
        if not inside:
            yield folder


def _read(directory: Path) -> Record | str:
    if not directory.is_dir():
        return "there is no such folder"
    try:
        result = read_result(directory)
    except FileNotFoundError:
        return f"it has no {RESULT}: the run goes on, or was killed"
    except (OSError, ValueError) as error:
        return str(error)
    if result.status != "finished":
        return "the run was interrupted" if result.status == "interrupted" else f"the run has {result.status}"
    if result.config.get("debug") not in (None, False, True):
        return f"it was made with debug={result.config['debug']}"
    return Record(directory, result)


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _flat(value, f"{prefix}{key}.")
    else:
        yield prefix.rstrip("."), json.dumps(node)

"""``result.json``: the record of a run, for people and for reports."""

import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypedDict

from gat_lightning.errors import UserError
from gat_lightning.files import atomic_write
from gat_lightning.runs.layout import RESULT, RunDirectory
from gat_lightning.runs.relative_paths import relative_to_run

SCHEMA = 1
_NULL_SAYS_SOMETHING = ("git", "resumed", "trained")


class Files(TypedDict, total=False):
    """Names of the other files of a run, relative to its directory."""

    metrics: str
    predictions: str
    checkpoints: dict[str, str]
    images: list[str]
    profiles: list[str]
    logs: list[str]


class ViewCheck(TypedDict):
    """What went wrong under one test condition of a test or an evaluation.

    Attributes:
        images: number of labelled images.
        non_finite: number of images with a NaN or infinite output.
        zero_gradient: share of the attacked images whose gradient was exactly zero; None without a gradient attack.
    """

    images: int
    non_finite: int
    zero_gradient: float | None


@dataclass(kw_only=True)
class Result:
    """What every run records; the names of the attributes are the keys of the file.

    Attributes:
        status: ``failed`` until the run has ended well or was interrupted.
        config: the resolved settings.
        seed: of the run.
        started: date and time in UTC.
        durations: seconds, by stage; ``total`` is the whole run.
        files: the other files.
        metrics: ``{checkpoint: {"split/view/[task/]metric": value}}``, see
            :class:`~gat_lightning.runs.metric_names.MetricName`; of a training also ``epoch``, counted from 1.
        git: commit, and whether files were changed; None for an installed wheel.
        versions: of Python and the packages.
        device: its type, name and threads, and the number of processes that had one each.
        engine: how it was computed: ``precision``, ``compiled``, ``channels_last``, ``tf32``, and the ``reasons``.
        images: how many test images the metrics are over; None where that is not known.
        checks: ``{checkpoint: {view: check}}`` of the views in ``metrics``; empty before anything is measured.
        intervals: the 95 % interval ``[low, high]`` of each of the metrics.
        error: the message of the error that the run ended with.
    """

    status: Literal["finished", "interrupted", "failed"] = "failed"
    config: dict[str, Any]
    seed: int = 0
    started: str = ""
    durations: dict[str, float] = field(default_factory=dict)
    files: Files = field(default_factory=Files)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    git: dict[str, Any] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)
    images: int | None = None
    checks: dict[str, dict[str, ViewCheck]] = field(default_factory=dict)
    intervals: dict[str, dict[str, list[float]]] | None = None
    error: str | None = None


@dataclass(kw_only=True)
class TrainingResult(Result):
    """What a training records.

    Attributes:
        resumed: the checkpoint that it went on from; None if it began anew.
        epochs: how many are done.
        skipped_batches: how many were left out by ``on_nan=skip``.
        unlabeled: what the target learned from images without its label: the ``mode``, and a ``reason`` where nobody
            chose it; of pseudo-labels the ``teacher``, the ``digest`` of its weights, its ``validation_accuracy`` and
            mean ``confidence``, and how many of the ``images`` it ``labelled``.
        introduction: what it said of itself at its start and after its first steps, by subject.
        warnings: what it warned of, each once.
        summary: the twelve figures of :mod:`gat_lightning.commands.train.summary`; None where there is no such figure.
    """

    resumed: str | None = None
    epochs: int = 0
    skipped_batches: int = 0
    unlabeled: dict[str, Any] = field(default_factory=dict)
    introduction: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    summary: dict[str, float | None] = field(default_factory=dict)


@dataclass(kw_only=True)
class EvaluationResult(Result):
    """What an evaluation records.

    Attributes:
        trained: the settings of the training; None for a model that is not ours.
        notes: what was left out, and why.
        seconds: ``{checkpoint: {view: seconds}}`` that each attack took, those before an interruption included.
        stages: ``{checkpoint: {view: [stage, ...]}}`` of AutoAttack: ``attack``, ``attacked`` images, those ``left``
            after it, their share of all (``accuracy``), and ``seconds``.
        per_class: ``{checkpoint: {view: {"worst": class, "classes": {class: accuracy}}}}``, where each accuracy has
            ``images``, ``accuracy`` and ``interval``.
        targeted: ``{checkpoint: {view: found}}`` of targeted attacks: the number of images ``attacked``, the shares
            that ``reached`` their target and were ``fooled``, and which class ``becomes`` which, ``{class: {class:
            count}}``.
        adversarial: ``{view: check}`` of the files of adversarial images, each read back after it was written.
        audit: each check, and what it found.
        transfer: success rates of images made on one model and shown to another: of all images (Table 17), and of those
            that are classified correctly when clean.
        vulnerability: Definition 2.1, by attack, and the mean increase with its sign.
        task_gradients: Definitions 3.2 to 3.4 and the covariance of Theorem 3.1, by pair of tasks.
        first_order_correlation: correlation of measured and predicted vulnerability: over images (lemma A.2) by attack,
            and over groups of images (theorem 3.1) by pair of tasks.
    """

    trained: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    stages: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    per_class: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    targeted: dict[str, dict[str, dict[str, Any]]] | None = None
    adversarial: dict[str, dict[str, Any]] | None = None
    audit: dict[str, Any] | None = None
    transfer: dict[str, Any] | None = None
    vulnerability: dict[str, dict[str, Any]] | None = None
    task_gradients: dict[str, dict[str, Any]] | None = None
    first_order_correlation: dict[str, dict[str, Any]] | None = None


def write_result(directory: Path, result: Result) -> Path:
    """Write ``result.json`` atomically.

    Args:
        directory: the run directory.
        result: of plain types; NaN and infinity become null. Paths inside the run are written relative to its
            directory, others below the current folder relative to that, so that a run can be moved and read elsewhere.

    Raises:
        UserError: it cannot be written, for example because the disk is full.
    """
    path = RunDirectory(directory).result
    known = {key: value for key, value in vars(result).items() if value is not None or key in _NULL_SAYS_SOMETHING}
    portable = _portable(relative_to_run({"schema": SCHEMA, **known}, directory), f"{Path.cwd()}{os.sep}")
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(portable, indent=2, allow_nan=False))
    except OSError as error:
        raise UserError(
            f"'{path}' could not be written ({error.strerror}). Make room, then use resume=auto."
        ) from error
    return path


def read_result(directory: Path) -> TrainingResult | EvaluationResult:
    """Read what :func:`write_result` wrote; keys that this version does not know are passed over.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no result of ours, or lacks what every result has.
    """
    try:
        content: dict[str, Any] = json.loads(RunDirectory(directory).result.read_text())
        schema, _ = content["schema"], content["status"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"its {RESULT} is damaged, or not one of ours") from error
    if schema != SCHEMA:
        raise ValueError(f"its {RESULT} has schema {schema}, and this version reads {SCHEMA}")
    if not isinstance(content.get("config"), dict) or not isinstance(content.get("metrics"), dict):
        raise ValueError(f"its {RESULT} lacks its configuration or its metrics")
    kind = EvaluationResult if "trained" in content else TrainingResult
    return kind(**{each.name: content[each.name] for each in fields(kind) if each.name in content})


def _portable(value: Any, here: str) -> Any:
    if isinstance(value, dict):
        return {str(key): _portable(item, here) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(item, here) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value.removeprefix(here) if isinstance(value, str) else value

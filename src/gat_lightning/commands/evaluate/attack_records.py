"""What an evaluation records of its attacks, besides their scores: times, stages and accuracy per class."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table

from gat_lightning.attacks import Attack, Ensemble
from gat_lightning.commands.evaluate.display import print_metrics
from gat_lightning.commands.evaluate.subject import Subject
from gat_lightning.evaluation.becoming import Becoming, becoming
from gat_lightning.evaluation.per_class import ByClass, accuracy_by_class, class_record, worst_class
from gat_lightning.evaluation.predictions import Predictions, Scores
from gat_lightning.evaluation.stages import autoattack_log
from gat_lightning.evaluation.traces import Trace
from gat_lightning.files import atomic_write
from gat_lightning.runs.metric_names import CLEAN, WORST
from gat_lightning.runs.result import EvaluationResult

_MOST_CLASSES = 20
"""Most classes that the console lists."""


class AttackRecords:
    """Records of the attacks of an evaluation.

    Args:
        subject: what was evaluated.
        predictions: of the evaluation.
        attacks: by view, those of the curve too.

    Attributes:
        by_class: accuracy of each class, by view.
        becoming: what targeted attacks made of the images, by view.
    """

    def __init__(self, subject: Subject, predictions: Predictions, attacks: Mapping[str, Attack]) -> None:
        self._name, self._predictions, self._attacks = subject.name, predictions, attacks
        label = subject.data.info.labels[subject.tasks[0].name]
        self._classes = tuple(label.classes) or (("no", "yes") if predictions.kind == "binary" else ())
        self.by_class = accuracy_by_class(predictions, self._classes)
        targets = {view: trace.columns.get("target") for view, trace in predictions.traces.items()}
        self.becoming = {
            view: becoming(predictions.views[view], predictions.labels, each, len(self._classes))
            for view, each in targets.items()
            if each is not None
        }

    def write(self, result: EvaluationResult, directory: Path) -> None:
        """Add to ``result`` what was recorded, and write a log of each ensemble to ``VIEW.log``."""
        traces = self._predictions.traces
        stages = {view: trace for view, trace in traces.items() if trace.stages}
        result.seconds = {self._name: {view: trace.seconds for view, trace in traces.items()}}
        result.stages = {
            self._name: {view: [stage.record() for stage in trace.stages] for view, trace in stages.items()}
        }
        result.per_class = {self._name: {view: class_record(found) for view, found in self.by_class.items()}}
        if self.becoming:
            result.targeted = {self._name: {view: found.record(self._classes) for view, found in self.becoming.items()}}
        for view, trace in stages.items():
            path = directory / f"{view}.log"
            with atomic_write(path) as temporary:
                temporary.write_text("\n".join(self._log(view, trace)) + "\n", encoding="utf-8")
            result.files.setdefault("logs", []).append(path.name)

    def show(self, scores: Scores, title: str, more: Sequence[RenderableType], directory: Path) -> None:
        """Print the table of scores, those of the attacks, and ``more``."""
        worst = {view: worst_class(found) for view, found in self.by_class.items()}
        shown = {view: f"{name} ({self.by_class[view][name].accuracy:.1%})" for view, name in worst.items()}
        tables, patients = [*self._tables(), *more], self._predictions.patients
        print_metrics(scores.metrics, scores.intervals, self._attacks, shown, title, tables, directory, patients)

    def _tables(self) -> list[RenderableType]:
        """Stages of ensembles, and of at most 20 classes the accuracy and which becomes which."""
        tables: list[RenderableType] = []
        for view, trace in self._predictions.traces.items():
            if trace.stages and view in self._attacks:
                tables.append(_stages(view, trace))
        if len(self._classes) <= _MOST_CLASSES:
            tables += [_becomes(view, found, self._classes) for view, found in self.becoming.items()]
        shown = [view for view in (CLEAN, WORST) if view in self.by_class]
        if shown and 2 < len(self.by_class[CLEAN]) <= _MOST_CLASSES:
            tables.append(_classes({view: self.by_class[view] for view in shown}, shown))
        return tables

    def _log(self, view: str, trace: Trace) -> list[str]:
        attack = self._attacks[view]
        assert isinstance(attack, Ensemble)
        clean = float(self._predictions.views[CLEAN].correct.mean())
        return list(autoattack_log(attack, clean, trace.stages, trace.extent))


def record_attacks(
    result: EvaluationResult,
    subject: Subject,
    predictions: Predictions,
    attacks: Mapping[str, Attack],
    directory: Path,
) -> AttackRecords:
    """The records of the attacks by view, written into ``result`` and ``directory``."""
    records = AttackRecords(subject, predictions, attacks)
    records.write(result, directory)
    return records


def _stages(view: str, trace: Trace) -> Table:
    table = Table("stage", "attacked", "left", "accuracy", "seconds", title=f"Stages of {view}")
    for stage in trace.stages:
        table.add_row(
            stage.attack, str(stage.attacked), str(stage.left), f"{stage.accuracy:.2%}", f"{stage.seconds:.1f}"
        )
    return table


def _becomes(view: str, found: Becoming, classes: Sequence[str]) -> Table:
    caption = f"{found.reached:.1%} of {found.attacked} images reach their target, {found.fooled:.1%} are misclassified"
    table = Table("class", *classes, title=f"Which class becomes which under {view}", caption=caption)
    for name, row in zip(classes, found.counts.tolist(), strict=True):
        table.add_row(name, *(str(count) if count else "" for count in row))
    return table


def _classes(by_class: Mapping[str, ByClass], views: Sequence[str]) -> Table:
    table = Table("class", "images", *views, title="Accuracy per class")
    for name, clean in by_class[CLEAN].items():
        table.add_row(name, str(clean.images), *(f"{by_class[view][name].accuracy:.2%}" for view in views))
    return table

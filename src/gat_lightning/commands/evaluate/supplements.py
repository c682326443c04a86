"""Supplements of an evaluation: audit, transfer, vulnerability and pictures."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.console import RenderableType
from rich.table import Table
from torch import Tensor, nn

from gat_lightning.attacks import Attack, Ensemble, TwoLogits
from gat_lightning.batch import Batch
from gat_lightning.commands.evaluate.subject import Subject
from gat_lightning.config.checkpoint import check_order, load_model
from gat_lightning.data.drawing import draw_images
from gat_lightning.errors import UserError
from gat_lightning.evaluation.audit import audit
from gat_lightning.evaluation.covariance import covariance_trend
from gat_lightning.evaluation.curve import CurvePoint
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.evaluation.target import Target
from gat_lightning.evaluation.task_gradients import measure_gradients
from gat_lightning.evaluation.transfer import success_rates
from gat_lightning.evaluation.vulnerability import measure_vulnerability
from gat_lightning.figures.confusion import confusion_before_and_after
from gat_lightning.figures.first_order import draw_first_order
from gat_lightning.figures.gallery import attack_panels
from gat_lightning.figures.loss_contour import loss_contour, loss_surface
from gat_lightning.figures.robustness_curve import accuracy_against_eps
from gat_lightning.info import DataInfo
from gat_lightning.randomness import ImageGenerator
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import CLEAN, WORST
from gat_lightning.runs.result import EvaluationResult

_PANELS = 8


class Supplementary:
    """Measures on some images of an evaluation.

    Args:
        subject: what is evaluated.
        target: the same, as attacks see it.
        predictions: of the evaluation.
        split: its images' split.
        images: number of evaluated images to draw for them, see :func:`~gat_lightning.data.drawing.draw_images`; all if
            None.
        batch_size: images at a time.
        seed: of everything that is drawn.
        directory: where pictures go.
        result: takes what is measured, and the names of the pictures.

    Attributes:
        shown: tables for the console.
    """

    def __init__(
        self,
        subject: Subject,
        target: Target,
        predictions: Predictions,
        split: str,
        images: int | None,
        batch_size: int,
        seed: int,
        directory: Path,
        result: EvaluationResult,
    ) -> None:
        self._subject, self._target, self._predictions = subject, target, predictions
        self._dataset = subject.data.split(split)
        self._key = (subject.data.info.name, split)
        self._index = self._positions(images, predictions.groups)
        self._batch_size, self._seed, self._directory = batch_size, seed, directory
        self._result, self._pictures = result, result.files.setdefault("images", [])
        self.shown: list[RenderableType] = []

    def audit(self, eps: float, norm: str, surrogates: Mapping[str, nn.Module]) -> None:
        """Does the robustness hold up? Adds ``audit`` and ``audit.md``."""
        batch = self._batch(self._index)
        report = audit(
            self._target.model,
            batch.images,
            self._labels(batch),
            eps=eps,
            norm=norm,
            seed=self._seed,
            batch_size=self._batch_size,
            surrogate=next(iter(surrogates.values()), None),
            groups=self._groups_of(self._index),
        )
        self._result.audit = report.to_dict()
        (self._directory / "audit.md").write_text(report.markdown(), encoding="utf-8")
        self.shown.append(report.table())

    def transfer(self, attack: Attack, surrogates: Mapping[str, nn.Module]) -> None:
        """Success rates between this model and others (Table 17). Adds ``transfer``."""
        models = {self._subject.name: self._target.model, **surrogates}
        decisions = {name: self._decision(model) for name, model in models.items()}
        batch = self._batch(self._index)
        matrix = success_rates(
            decisions, batch.images, self._labels(batch), attack, batch_size=self._batch_size, seed=self._seed
        )
        self._result.transfer = {"attack": attack.name, **matrix.to_dict()}
        self.shown.append(f"Success rates in % of {attack.name}, images made on the source.\n{matrix.text()}")

    def vulnerability(self, attacks: Mapping[str, Attack]) -> None:
        """Definitions 2.1 and 3.2 to 3.4 and theorem 3.1. Adds ``vulnerability``, ``task_gradients`` and a picture."""
        model, tasks = self._subject.multitask, self._subject.tasks
        assert model is not None
        model = model.float().to(self._target.device)
        batches = [self._batch(part) for part in self._index.split(self._batch_size)]
        usable = {name: attack for name, attack in attacks.items() if not attack.needs_decision}
        joint = measure_vulnerability(model, tasks, batches, usable, seed=self._seed)
        self._result.vulnerability = {name: each.summary() for name, each in joint.items()}
        trends, equal_lengths = {}, {}
        if len(tasks) > 1:
            pairs = measure_gradients(model, tasks, batches, seed=self._seed)
            self._result.task_gradients = {"|".join(names): pair.summary() for names, pair in pairs.items()}
            for name, attack in usable.items():
                for names, pair in pairs.items():
                    if attack.norm.name == "L2" and len(self._index) >= 10:
                        own = measure_vulnerability(
                            model, tasks, batches, {name: attack}, attacked=names, seed=self._seed
                        )
                        trends["|".join(names)] = covariance_trend(pair, own[name])
                        equal = covariance_trend(pair, own[name], equal_lengths=True)
                        equal_lengths[f"{'|'.join(names)}, equal lengths"] = equal
        path = self._picture("first_order.png")
        agreement = draw_first_order(joint, trends, equal_lengths, path)
        self._result.first_order_correlation = {name: each._asdict() for name, each in agreement.items()}
        self.shown.append(_vulnerability_table(self._result))

    def draw(self, attacks: Mapping[str, Attack], curve: Sequence[CurvePoint], eps: float) -> None:
        """Panels, confusion, loss contour and curve, where the target has classes."""
        if self._target.task.kind == "regression":
            return
        info = self._subject.data.info.labels[self._target.task.name]
        classes = info.classes or ("no", "yes")
        views = self._predictions.views
        if WORST in views:
            confusion_before_and_after(
                self._predictions.labels,
                views[CLEAN].prediction,
                views[WORST].prediction,
                classes,
                self._picture("confusion.png"),
                attack="the worst attack",
            )
        plain = {name: attack for name, attack in attacks.items() if not isinstance(attack, Ensemble)}
        for name, attack in list(plain.items())[:1]:
            self._draw_attack(name, attack, classes)
        if curve:
            first = curve[0]
            points: dict[float, NDArray[np.bool_]] = {point.attack.eps: views[point.view].correct for point in curve}
            name, norm = first.view.rpartition("@")[0], first.attack.norm.name
            if first.twin is not None:
                points[attacks[first.twin].eps] = views[first.twin].correct
            curves = {name: {0.0: views[CLEAN].correct, **points}}
            groups = self._predictions.groups
            accuracy_against_eps(curves, self._picture("curve.png"), groups=groups, norm=norm, claimed=eps)

    def _draw_attack(self, name: str, attack: Attack, classes: Sequence[str]) -> None:
        batch = self._batch(self._positions(_PANELS, None))
        labels = self._labels(batch)
        generators = partial(ImageGenerator, batch.index.cpu(), self._seed)
        adversarial = attack(self._target.problem(batch, generators), batch.images, generators("pictures"))
        before, after = (self._target.outcomes(images, labels).prediction for images in (batch.images, adversarial))
        attack_panels(
            batch.images,
            adversarial,
            labels,
            torch.from_numpy(before),
            torch.from_numpy(after),
            classes,
            self._picture("attack.png"),
            title=name,
        )
        if attack.eps > 0 and bool((adversarial[0] != batch.images[0]).any()):
            model = self._decision(self._target.model)
            surface = loss_surface(
                model, batch.images[0], int(labels[0]), adversarial[0], attack.eps, norm=attack.norm, seed=self._seed
            )
            loss_contour(surface, self._picture("loss_contour.png"), title=f"{name}, first image")

    def _positions(self, images: int | None, groups: NDArray[np.int64] | None) -> Tensor:
        """Positions in the split of so many drawn images of the evaluation; of all if None."""
        index, labels = torch.from_numpy(self._predictions.index), torch.from_numpy(self._predictions.labels)
        if images is None:
            return index
        patients = None if groups is None else torch.from_numpy(groups)
        return index[draw_images(labels, patients, images, *self._key)]

    def _groups_of(self, positions: Tensor) -> Tensor | None:
        groups = self._predictions.groups
        if groups is None:
            return None
        return torch.from_numpy(groups)[torch.isin(torch.from_numpy(self._predictions.index), positions)]

    def _batch(self, positions: Tensor) -> Batch:
        return self._dataset.__getitems__(positions.tolist()).to(self._target.device)

    def _labels(self, batch: Batch) -> Tensor:
        return batch.labels[self._target.task.name]

    def _decision(self, model: nn.Module) -> nn.Module:
        return TwoLogits(model) if self._target.task.kind == "binary" else model

    def _picture(self, name: str) -> Path:
        directory = RunDirectory(self._directory)
        directory.images.mkdir(exist_ok=True)
        self._pictures.append(directory.relative(directory.images / name))
        return directory.images / name


def check_supplements(config: DictConfig, subject: Subject, attacks: Mapping[str, Attack]) -> None:
    """Raise `UserError` for what cannot be measured on this subject."""
    kind = subject.tasks[0].kind
    for setting, wanted in (("audit", config.audit), ("surrogate", config.surrogate is not None)):
        if wanted and kind == "regression":
            raise UserError(f"{setting} is about decisions between classes, and the target is a number: leave it out.")
    if config.vulnerability and subject.multitask is None:
        raise UserError("vulnerability=true needs a checkpoint: a model without its tasks has no other losses.")
    if config.vulnerability and all(attack.needs_decision for attack in attacks.values()):
        raise UserError("vulnerability=true needs an attack on a loss, such as evaluation=pgd20.")


def load_surrogates(paths: Sequence[str], target: Target, info: DataInfo) -> dict[str, nn.Module]:
    """The target's classifiers of checkpoints, by the names of their runs.

    Raises:
        UserError: a checkpoint cannot be read, is of another target, or has the data's classes in another order.
    """
    found: dict[str, nn.Module] = {}
    for path in paths:
        trained = load_model(path)
        tasks = trained.tasks
        if (tasks[0].name, tasks[0].outputs) != (target.task.name, target.task.outputs):
            raise UserError(
                f"surrogate={path} predicts '{tasks[0].name}' ({tasks[0].outputs} outputs), and this model"
                f" '{target.task.name}' ({target.task.outputs}): they must have one target."
            )
        try:
            check_order(trained.classes, info, target.task.name)
        except UserError as error:
            raise UserError(f"surrogate={path}: {error}") from error
        run = RunDirectory.of_checkpoint(Path(path).resolve())
        name = Path(path).stem if run is None else run.path.name
        name = name if name not in found else f"{name} ({len(found)})"
        found[name] = trained.model.single_task().eval().float().to(target.device)
    return found


def _vulnerability_table(result: EvaluationResult) -> Table:
    table = Table("attack or pair", "measure", "value", title="Vulnerability and task gradients")
    for name, each in (result.vulnerability or {}).items():
        table.add_row(name, "vulnerability (definition 2.1)", f"{each['vulnerability']:.4g}")
        table.add_row("", "predicted to first order", f"{each['first_order_in_box']:.4g}")
        table.add_row("", "mean increase, with its sign", f"{each['mean_increase']:.4g}")
        for task, change in each["tasks"].items():
            table.add_row("", f"vulnerability of {task}", f"{change['vulnerability']:.4g}")
    for names, each in (result.task_gradients or {}).items():
        for measure in ("cosine", "magnitude_similarity", "curvature"):
            table.add_row(names, measure, f"{each[measure]['mean']:.4g}")
    for name, each in (result.first_order_correlation or {}).items():
        table.add_row(name, "r of measured and predicted", f"{each['r']:.3f} (p = {each['p_value']:.2g})")
    return table

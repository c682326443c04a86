"""Robustness of a classifier: all images of a split, clean and under every attack."""

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gat_lightning import __version__
from gat_lightning.attacks import Attack, Ensemble, Problem, input_gradient, undisturbed
from gat_lightning.batch import Batch, has_label
from gat_lightning.data.dataset import SplitDataset
from gat_lightning.errors import UserError
from gat_lightning.evaluation.curve import CurvePoint
from gat_lightning.evaluation.journal import Arrays, Journal
from gat_lightning.evaluation.outcomes import Outcomes, joined, signed_logits, worst, worst_ranked
from gat_lightning.evaluation.predictions import Predictions, consecutive
from gat_lightning.evaluation.rounding import rounded_images, stored
from gat_lightning.evaluation.target import Target
from gat_lightning.evaluation.traces import Trace, measured, pixel_range
from gat_lightning.randomness import ImageGenerator
from gat_lightning.runs.metric_names import CLEAN, WORST

_UNITS = 3
"""Version of what the journal keeps of a batch."""

Track = Callable[[str, str, int, int], AbstractContextManager[Callable[[int, int], None]]]
"""(view, attack, batches, batches done before) -> what is told (images correct, of how many) after each batch."""


@contextmanager
def untracked(view: str, attack: str, batches: int, done: int) -> Iterator[Callable[[int, int], None]]:
    """A :data:`Track` without display."""
    yield lambda correct, total: None


class Evaluation:
    """Evaluation of a target on one split of a data set, in batches.

    Each image is evaluated once, in eval mode and in the model's own precision. Random numbers of our attacks depend on
    the image, so its outcome does not depend on the batch size. Those of torchattacks depend on the position in the
    batch.

    Args:
        target: the classifier and its task.
        dataset: the split; images without the target's label are left out.
        split: name of the split, part of the random key.
        batch_size: number of images attacked at once.
        images: positions of the images to evaluate, long, ascending; None: all.
        groups: patient of every image of the split, long; None if each stands for itself.
        seed: seed of the attacks' random numbers.
        journal: journal of earlier and new results.
        track: progress display.
        keeps_images: views of which the journal keeps the adversarial images, for :meth:`adversarial`.

    Attributes:
        traces: what was recorded of each attack, by view.

    Raises:
        UserError: no image has the label.
    """

    def __init__(
        self,
        target: Target,
        dataset: SplitDataset,
        split: str = "test",
        *,
        batch_size: int = 128,
        images: Tensor | None = None,
        groups: Tensor | None = None,
        seed: int = 0,
        journal: Journal | None = None,
        track: Track = untracked,
        keeps_images: Collection[str] = (),
    ) -> None:
        self._target, self._dataset = target, dataset
        self._key, self._groups = (seed, split), groups
        self._journal = Journal() if journal is None else journal
        self._track, self._keeps_images = track, keeps_images
        chosen = torch.arange(len(dataset)) if images is None else images.cpu()
        self._batches = [part.tolist() for part in chosen.split(batch_size)]
        self.traces: dict[str, Trace] = {}
        self._index, self._labels, self._clean, self._pixels = self._look()
        if sum(map(len, self._index)) == 0:
            raise UserError(f"No image of the {split} split has the label '{target.task.name}'.")

    @property
    def predictions(self) -> Predictions:
        """Predictions with the clean view, to which others can be added."""
        task, labels = self._target.task, np.concatenate(self._labels)
        if task.kind == "regression":
            labels = labels * np.float32(task.scale)
        index = np.concatenate(self._index)
        groups = None if self._groups is None else consecutive(self._groups.cpu().numpy()[index])
        return Predictions(task.kind, index, labels, {CLEAN: joined(self._clean)}, groups)

    def attacked(self, view: str, attack: Attack, draws: str | None = None) -> Outcomes:
        """Attack all images.

        Args:
            view: name of the view in the journal and the display.
            attack: an :class:`Ensemble` goes through all batches with one member before the next; an image that is
                misclassified to begin with, or that a member has fooled, is left alone and keeps that outcome. Of a
                binary target, which AUROC ranks without a threshold, every member attacks every image, which keeps
                the outcome with the lowest signed logit.
            draws: key of the random numbers; the view's name by default.

        Raises:
            UserError: the attack is not defined for this target.
        """
        reason = self._target.why_not(attack)
        if reason is not None:
            raise UserError(reason)
        outcomes, trace = list(self._clean), Trace(self._clean, self._pixels)
        self.traces[view] = trace
        ensemble = isinstance(attack, Ensemble)
        for member in attack.members if isinstance(attack, Ensemble) else (attack,):
            if ensemble:
                trace.begin(member.name)
            with self._track(view, member.name, len(outcomes), self._journal.done(view, member.name)) as tell:
                for batch in range(len(outcomes)):
                    self._advance(partial(self._unit, view, member, draws or view), batch, outcomes, trace, member)
                    self._tell(tell, outcomes if ensemble else outcomes[: batch + 1])
            if ensemble:
                trace.end()
        return joined(outcomes)

    def _advance(
        self,
        run: Callable[[int, np.ndarray], Arrays],
        batch: int,
        outcomes: list[Outcomes],
        trace: Trace,
        attack: Attack,
    ) -> None:
        """Run an attack on the images of a batch that it is for, and keep what it found."""
        before, ensemble, ranked = outcomes[batch], bool(trace.stages), self._target.task.kind == "binary"
        rows = np.flatnonzero(before.correct) if ensemble and not ranked else np.arange(len(before.loss))
        if len(rows) == 0:
            return
        unit = run(batch, rows)
        found = _outcomes(unit)
        kept = self._kept(batch, before.take(rows), rows, found) if ensemble else np.arange(len(rows))
        outcomes[batch] = before.replaced(rows[kept], found.take(kept))
        left_alone = ~before.correct[rows] & (attack.needs_decision and not ranked)
        if "target" in unit:
            left_alone = unit["target"].astype(np.int64) < 0
        trace.add(attack.name, batch, rows, unit, kept, left_alone)
        if ensemble:
            trace.add_to_stage(batch, rows, unit, outcomes[batch].correct)

    def adversarial(self, view: str, dtype: np.dtype[Any]) -> np.ndarray:
        """The adversarial images of a view in ``keeps_images`` after its attack, in one of :data:`~.rounding.TYPES`.

        Returns:
            ``[n, C, H, W]``; images that no attack of an ensemble fooled are the clean ones.
        """
        found = [stored(self._batch(index).images, dtype) for index in self._index]
        for source in self.traces[view].sources:
            unit = self._journal.get(view, source.attack, source.batch)
            assert unit is not None
            found[source.batch][source.rows] = unit[dtype.name][source.kept]
        return np.concatenate(found)

    def clean(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Some of the images of the predictions and their labels, on the target's device."""
        batch = self._batch(np.concatenate(self._index)[rows])
        return batch.images, batch.labels[self._target.task.name]

    def _kept(self, batch: int, before: Outcomes, rows: np.ndarray, found: Outcomes) -> np.ndarray:
        """Which of the attacked rows of a batch keep what a member of an ensemble found."""
        if self._target.task.kind == "binary":
            labels = self._labels[batch][rows]
            return np.flatnonzero(signed_logits(found, labels) < signed_logits(before, labels))
        return np.flatnonzero(~found.correct)

    def _look(self) -> tuple[list[np.ndarray], list[np.ndarray], list[Outcomes], list[Arrays]]:
        """Positions, labels, clean outcomes and range of the pixels of the labelled images, by batch."""
        name = self._target.task.name
        index, labels, clean, pixels = [], [], [], list[Arrays]()
        with self._track(CLEAN, CLEAN, len(self._batches), self._journal.done(CLEAN, CLEAN)) as tell:
            for number, positions in enumerate(self._batches):
                found = self._journal.get(CLEAN, CLEAN, number)
                if found is None:
                    batch = self._dataset.__getitems__(positions)
                    rows = has_label(batch.labels[name]).nonzero().flatten()
                    images, label = batch.images[rows], batch.labels[name][rows]
                    outcome = self._target.outcomes(images.to(self._target.device), label.to(self._target.device))
                    found = {"index": batch.index[rows].cpu().numpy(), "labels": label.cpu().numpy()}
                    found |= {**vars(outcome), **pixel_range(images)}
                    self._journal.put(CLEAN, CLEAN, number, found)
                index.append(found["index"])
                labels.append(found["labels"])
                clean.append(_outcomes(found))
                pixels.append({end: found[end] for end in ("low", "high")})
                self._tell(tell, clean)
        return index, labels, clean, pixels

    def _tell(self, tell: Callable[[int, int], None], seen: Sequence[Outcomes]) -> None:
        """Display the number of correct images so far; nothing for a regression."""
        decided = [] if self._target.task.kind == "regression" else seen
        tell(sum(int(part.correct.sum()) for part in decided), sum(len(part.loss) for part in decided))

    def _unit(self, view: str, attack: Attack, draws: str, number: int, rows: np.ndarray) -> Arrays:
        """One batch under one attack, from the journal or computed now."""
        found = self._journal.get(view, attack.name, number)
        if found is None:
            started = time.perf_counter()
            positions = self._index[number][rows]
            batch = self._batch(positions)
            generators = partial(ImageGenerator, torch.from_numpy(positions), *self._key)
            problem = self._target.problem(batch, generators)
            adversarial = attack(problem, batch.images, generators(draws))
            outcome = self._target.outcomes(adversarial, batch.labels[self._target.task.name])
            seconds = np.array(time.perf_counter() - started)
            found = {**vars(outcome), **measured(batch.images, adversarial, attack.norm), "seconds": seconds}
            if view in self._keeps_images:
                found |= self._rounded(problem, batch, adversarial, attack, outcome)
            if attack.zero_gradient is not None:
                found["zero_gradient"] = attack.zero_gradient.cpu().numpy()
            if (targets := getattr(attack, "targets", None)) is not None:
                found["target"] = targets.cpu().numpy()
            self._journal.put(view, attack.name, number, found)
        return found

    def _rounded(self, problem: Problem, batch: Batch, adversarial: Tensor, attack: Attack, before: Outcomes) -> Arrays:
        """Adversarial images as they are stored, by type."""

        def kept(images: Tensor) -> Tensor:
            after = self._target.outcomes(images, batch.labels[self._target.task.name])
            same = after.prediction == before.prediction
            decided = self._target.task.kind != "regression"
            return torch.from_numpy(same if decided else np.ones_like(same)).to(images.device)

        def slope() -> Tensor:
            with undisturbed(problem.module, attack.mode, adversarial.device):
                return input_gradient(problem, adversarial)

        return rounded_images(batch.images, adversarial, attack, kept, slope)

    def _batch(self, positions: np.ndarray) -> Batch:
        batch = self._dataset.__getitems__(positions.tolist())
        return batch.to(self._target.device)


def evaluate_robustness(
    evaluation: Evaluation, attacks: Mapping[str, Attack], curve: Sequence[CurvePoint] = ()
) -> Predictions:
    """Evaluate clean images, every attack, the worst case over all of these, and a robustness curve (accuracy over ε).

    Args:
        evaluation: the target on a split.
        attacks: attacks by the name of the view. The worst case covers all of them, whatever their norms and radii.
        curve: points of a curve; they share their random numbers, and are not part of the worst case. At the radius of
            its twin in ``attacks`` a point has the twin's outcomes.

    Returns:
        Views ``clean``, those of ``attacks``, ``worst`` if there are any, and those of the curve.
    """
    predictions = evaluation.predictions
    for view, attack in attacks.items():
        predictions.views[view] = evaluation.attacked(view, attack)
    if attacks:
        views = list(predictions.views.values())
        ranked = predictions.kind == "binary"
        predictions.views[WORST] = worst_ranked(views, predictions.labels) if ranked else worst(views)
    for point in curve:
        if point.twin is not None and attacks[point.twin].eps == point.attack.eps:
            predictions.views[point.view] = predictions.views[point.twin]
            evaluation.traces[point.view] = evaluation.traces[point.twin]
        else:
            predictions.views[point.view] = evaluation.attacked(point.view, point.attack, point.twin or "curve")
    predictions.traces = evaluation.traces
    return predictions


def fingerprint(model: nn.Module, *settings: object) -> str:
    """Hash of the weights and of everything else that the results depend on."""
    digest = hashlib.sha256(repr((__version__, torch.__version__, _UNITS, settings)).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _outcomes(arrays: Mapping[str, np.ndarray]) -> Outcomes:
    return Outcomes(*(arrays[each.name] for each in fields(Outcomes)))

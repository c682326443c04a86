"""Relations of the tasks' input gradients over a test set (paper, definitions 3.2 to 3.4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from gat_lightning.attacks import input_gradient, undisturbed
from gat_lightning.batch import Batch, has_label
from gat_lightning.curvature.measures import cosine, curvature_measure, magnitude_similarity
from gat_lightning.errors import UserError
from gat_lightning.evaluation.vulnerability import JointLoss, choose_tasks, prepared_batches
from gat_lightning.models import MultiTaskModel
from gat_lightning.tasks import Task

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class PairMeasures:
    """Measures of two tasks' gradients for every image that has both labels.

    Attributes:
        first: name of the first task; g_1 is the gradient of its clean loss with respect to the image.
        second: name of the second task, with g_2.
        index: position of each image in its split, ``[n]``.
        cosine: definition 3.2, ``[n]``, in [-1, 1].
        magnitude_similarity: definition 3.3, ``[n]``, in [0, 1].
        curvature: definition 3.4, ``[n]``, in [0, 4].
        product: g_1 · g_2, ``[n]`` float64.
        first_square: ‖g_1‖², ``[n]`` float64.
        second_square: ‖g_2‖², ``[n]`` float64.
        product_of_means: E[g_1] · E[g_2].
    """

    first: str
    second: str
    index: Tensor
    cosine: Tensor
    magnitude_similarity: Tensor
    curvature: Tensor
    product: Tensor
    first_square: Tensor
    second_square: Tensor
    product_of_means: float

    @property
    def covariance(self) -> float:
        """Cov(g_1, g_2) = E[g_1 · g_2] - E[g_1] · E[g_2] (eq. 12)."""
        return float(self.product.mean()) - self.product_of_means

    def summary(self) -> dict[str, Any]:
        """Convert means and distributions to plain types, for JSON."""
        measures = {
            name: {
                "mean": float(values.mean()),
                "std": float(values.std(correction=0)),
                "quantiles": _quantiles(values),
            }
            for name, values in (
                ("cosine", self.cosine),
                ("magnitude_similarity", self.magnitude_similarity),
                ("curvature", self.curvature),
            )
        }
        return {
            "tasks": [self.first, self.second],
            "images": len(self.index),
            **measures,
            "conflicting": float((self.cosine < 0).float().mean()),
            "covariance": self.covariance,
        }


def measure_gradients(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    batches: Iterable[Batch],
    *,
    seed: int = 0,
    separate_views: bool = True,
) -> dict[tuple[str, str], PairMeasures]:
    """Cosine, magnitude similarity, curvature measure and covariance of every pair of tasks over a test set.

    Gradients are of each image's clean loss with respect to that image, in eval mode, through f_t where a task sees
    its own copy. The model is unchanged afterwards.

    Args:
        model: model with a decoder for every task.
        tasks: at least two tasks.
        batches: batches of the test set.
        seed: seed of the labels that self-supervised tasks draw.
        separate_views: as for :func:`~gat_lightning.evaluation.vulnerability.measure_vulnerability`.

    Returns:
        Measures by the pair's names, in the order of the tasks, without pairs that have no common image.

    Raises:
        UserError: fewer than two tasks, or no image has the labels of two.
    """
    pairs = list(combinations(choose_tasks(tasks, None), 2))
    if not pairs:
        raise UserError("gradients of tasks are compared in pairs, and the model has one task; train it with task=NAME")
    collected = {(a.name, b.name): _Pair(a.name, b.name) for a, b in pairs}
    with undisturbed(model, "eval"):
        for batch, views in prepared_batches(model, tasks, batches, seed, separate_views):
            gradients = {
                task.name: input_gradient(JointLoss(model, views, [task], [1.0]), views.images).flatten(1)
                for task in tasks
            }
            for (first, second), pair in collected.items():
                both = has_label(views.labels[first]) & has_label(views.labels[second])
                pair.add(batch.index[both], gradients[first][both], gradients[second][both])
    found = {names: pair.measures() for names, pair in collected.items() if pair.count}
    if not found:
        raise UserError("no image has the labels of two tasks")
    return found


class _Pair:
    """Accumulates the measures of one pair over batches."""

    def __init__(self, first: str, second: str) -> None:
        self._names = (first, second)
        self._columns: list[tuple[Tensor, ...]] = []
        self._sums: list[Tensor] = []
        self.count = 0

    def add(self, index: Tensor, first: Tensor, second: Tensor) -> None:
        """Gradients ``[n, pixels]`` of images that have both labels."""
        if len(index) == 0:
            return
        a, b = first.double(), second.double()
        row = (
            index,
            cosine(first, second),
            magnitude_similarity(first, second),
            curvature_measure(first, second),
            (a * b).sum(1),
            a.square().sum(1),
            b.square().sum(1),
        )
        self._columns.append(tuple(column.cpu() for column in row))
        sums = [a.sum(0).cpu(), b.sum(0).cpu()]
        self._sums = [old + new for old, new in zip(self._sums, sums, strict=True)] if self._sums else sums
        self.count += len(index)

    def measures(self) -> PairMeasures:
        """Measures of all added gradients."""
        index, *columns = (torch.cat(column) for column in zip(*self._columns, strict=True))
        cosines, similarity, curvature, product, first_square, second_square = columns
        return PairMeasures(
            *self._names,
            index,
            cosines,
            similarity,
            curvature,
            product,
            first_square,
            second_square,
            product_of_means=float(self._sums[0] @ self._sums[1]) / self.count**2,
        )


def _quantiles(values: Tensor) -> dict[str, float]:
    found = values.double().quantile(torch.tensor(QUANTILES, dtype=torch.float64))
    return {f"{quantile:g}": value for quantile, value in zip(QUANTILES, found.tolist(), strict=True)}

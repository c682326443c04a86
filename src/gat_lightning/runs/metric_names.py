"""Names of what runs log: scores, ``split/view/[task/]metric``, and figures of objectives, ``figure/objective``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

SPLITS = ("test", "val")
CLEAN, WORST = "clean", "worst"
"""Views that are not named after an attack: plain images, and the worst case over the attacks of an evaluation."""

SELECTION = "val/selection"
"""Name of the score that chooses the best checkpoint; higher is better."""

TARGET_SHARE = "weight/target_adversarial"
"""Share of the weight that the target's adversarial objectives have together, after each epoch."""

Figure = Literal["objective", "weight", "coefficient", "norm", "cosine"]
"""Of an objective: its value, its weight or, where it follows the weights of others, its coefficient, the norm of its
gradient; of two: the cosine between their gradients."""

_FORM = re.compile(rf"(?P<split>{'|'.join(SPLITS)})/(?P<view>[^/]+)/((?P<task>[^/]+)/)?(?P<metric>[^/]+)")


@dataclass(frozen=True)
class MetricName:
    """Name of one score in ``metrics.csv``, ``result.json`` and the loggers, such as ``val/clean/macro/accuracy``.

    Attributes:
        split: one of :data:`SPLITS`.
        view: the test condition: ``clean``, the name of an attack, or ``worst``.
        metric: such as ``accuracy``.
        task: the auxiliary task that is scored; None for the target.
    """

    split: str
    view: str
    metric: str
    task: str | None = None

    @classmethod
    def parse(cls, text: str) -> MetricName:
        """The name that ``str()`` writes as this text.

        Raises:
            ValueError: the text is no name of a score.
        """
        if not (found := _FORM.fullmatch(text)):
            raise ValueError(f"'{text}' is not of the form split/view/[task/]metric")
        return cls(**found.groupdict())

    def __str__(self) -> str:
        return f"{self.split}/{self.shown}"

    @property
    def shown(self) -> str:
        """The name without its split, for titles that name the split elsewhere."""
        return "/".join(filter(None, (self.view, self.task, self.metric)))

    @property
    def is_share(self) -> bool:
        """Whether values lie in [0, 1] and are written in percent."""
        return self.metric in ("accuracy", "auroc")

    @property
    def lower_is_better(self) -> bool:
        """Whether the metric is an error."""
        return self.metric in ("mae", "l1")

    def text(self, value: float) -> str:
        """A value as people read it: ``98.3%`` for shares, four digits for other metrics, "undefined" for NaN."""
        if math.isnan(value):
            return "undefined"
        return f"{value:.1%}" if self.is_share else f"{value:.4g}"


def scores_in(names: Iterable[str], split: str) -> list[MetricName]:
    """The scores of one split, of all tasks, among the names of columns, in their order."""
    return [MetricName.parse(name) for name in names if (found := _FORM.fullmatch(name)) and found["split"] == split]


def target_scores(names: Iterable[str], split: str) -> list[MetricName]:
    """Likewise those of the target."""
    return [score for score in scores_in(names, split) if score.task is None]


def objective_column(figure: Figure, *objectives: str) -> str:
    """Name of a figure of one objective or of two: ``weight/class/adv``, ``cosine/class/adv|class/clean``."""
    return f"{figure}/{'|'.join(objectives)}"


def objective_columns(names: Iterable[str], figure: Figure) -> dict[str, str]:
    """The objectives that have a figure among the names of columns, with its column."""
    prefix = objective_column(figure)
    return {name.removeprefix(prefix): name for name in names if name.startswith(prefix) and name != TARGET_SHARE}

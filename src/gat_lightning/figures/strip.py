"""Several models side by side: the answer of each one to the images that attack it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor, nn

from gat_lightning.attacks import Attack
from gat_lightning.batch import decision_name
from gat_lightning.figures.gallery import FONT, RIGHT, WRONG, attacked, show_image

_WIDTH, _ROW, _TITLE = 7.2, 0.68, 0.26
_SMALL = 8.5
_COLUMNS = 5.8
"""Inches of the columns together."""

_LETTER = 0.62
"""Width of a letter as a share of its size."""


def answers_under_attack(
    models: Mapping[str, nn.Module],
    images: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    attack: Attack,
    path: Path,
    *,
    title: str,
) -> Path:
    """Draw the clean images, and a row for each model with its adversarial images and what it answers.

    Args:
        models: single-task classifiers in eval mode, by display name.
        images: ``[n, C, H, W]`` in [0, 1]; one column each.
        labels: true classes ``[n]``.
        classes: names of the classes.
        attack: attack, which runs against each model separately.
        path: file of the picture, 7.2 inches wide; its suffix selects the format.
        title: title of the picture.
    """
    rows = len(models) + 1
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.025, wspace=0, hspace=0)
    figure = Figure(figsize=(_WIDTH, _ROW * rows + _TITLE), layout=layout)
    axes = figure.subplots(rows, len(images), squeeze=False)
    _name(axes[0, 0], "clean image")
    for column, label in enumerate(labels.tolist()):
        show_image(axes[0, column], images[column], classes[label])
    for row, (name, model) in enumerate(models.items(), 1):
        adversarial, _, answers = attacked(model, images, labels, attack)
        for column, (answer, label) in enumerate(zip(answers.tolist(), labels.tolist(), strict=True)):
            right = answer == label
            text = f"{decision_name(classes, answer)} {'✓' if right else '✗'}"
            show_image(axes[row, column], adversarial[column], text, RIGHT if right else WRONG)
        _name(axes[row, 0], f"{name}\n{int((answers == labels).sum())} of {len(labels)} right")
    longest = max(map(len, classes)) + len(" ✓")
    room = 72 * _COLUMNS / len(images) / (_LETTER * longest)
    for each in axes.flat:
        each.title.set_fontsize(min(FONT, room))
    figure.suptitle(title, fontsize=_SMALL + 1)
    figure.savefig(path, dpi=200)
    return path


def _name(axes: Axes, text: str) -> None:
    axes.set_ylabel(text, fontsize=_SMALL, rotation=0, ha="right", va="center", labelpad=6)

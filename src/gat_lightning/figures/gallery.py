"""Grids of clean images, perturbations and adversarial images, with the predictions of a model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from gat_lightning.attacks import Attack, ClassifierProblem
from gat_lightning.batch import decide, decision_name
from gat_lightning.errors import UserError
from gat_lightning.randomness import BatchGenerator, Shard

RIGHT, WRONG = "#1a7f37", "#cf222e"
"""Colours of right and of wrong answers."""

_WIDTH = 4.4
_COLUMNS = 4
_HEIGHT = 1.3
_LETTER = 0.075
FONT = 9


def adversarial_gallery(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    attack: Attack,
    path: Path,
    problem: Callable[[nn.Module, Tensor], ClassifierProblem] = ClassifierProblem,
) -> Path:
    """Attack a model and draw :func:`attack_panels`.

    Args:
        model: a single-task classifier in eval mode.
        images: ``[n, C, H, W]`` in [0, 1]; one column each.
        labels: true classes ``[n]``.
        classes: names of the classes.
        attack: attack on the model.
        path: file of the picture; its suffix selects the format.
        problem: makes the attack problem of a model and labels; ``BinaryProblem`` for models with one logit.
    """
    adversarial, clean, answers = attacked(model, images, labels, attack, problem)
    title = f"{attack.name}, ε = {attack.eps}"
    return attack_panels(images, adversarial, labels, clean, answers, classes, path, title=title)


def attacked(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    problem: Callable[[nn.Module, Tensor], ClassifierProblem] = ClassifierProblem,
) -> tuple[Tensor, Tensor, Tensor]:
    """Adversarial images, and what the model says of the clean and of the adversarial ones.

    Args:
        model: a single-task classifier in eval mode.
        images: ``[n, C, H, W]`` in [0, 1].
        labels: true classes ``[n]``.
        attack: attack on the model.
        problem: makes the attack problem of a model and labels.
    """
    decision = problem(model, labels)
    adversarial = attack(decision, images, BatchGenerator(Shard.whole(len(images)), "gallery"))
    with torch.no_grad():
        return adversarial, decide(decision.logits(images)), decide(decision.logits(adversarial))


def attack_panels(
    images: Tensor,
    adversarial: Tensor,
    labels: Tensor,
    clean_predictions: Tensor,
    adversarial_predictions: Tensor,
    classes: Sequence[str],
    path: Path,
    *,
    title: str,
) -> Path:
    """Draw one column per image: clean, perturbation and adversarial, both images with what the model says.

    Correct predictions are green, wrong ones red. Perturbations are scaled to the largest change of all images, which
    the row's name gives in grey levels of 255. No change is white, and mid-grey where images have colours.

    Args:
        images: ``[n, C, H, W]`` in [0, 1], C 1 or 3; up to a dozen are readable.
        adversarial: the same images after the attack.
        labels: true classes ``[n]``.
        clean_predictions: predicted classes of ``images``, ``[n]``, or :data:`~gat_lightning.batch.UNDECIDED`.
        adversarial_predictions: predicted classes of ``adversarial``, ``[n]``, likewise.
        classes: names of the classes.
        path: file of the picture; its suffix selects the format.
        title: title of the picture.

    Raises:
        UserError: there are no images, or the numbers of images differ.
    """
    sizes = {len(part) for part in (images, adversarial, labels, clean_predictions, adversarial_predictions)}
    if len(sizes) != 1 or 0 in sizes:
        raise UserError(f"panels need one label and two predictions per image, got lengths {sorted(sizes)}")
    change = (adversarial - images).detach().cpu()
    reach = float(change.abs().amax())
    rows = ("clean", f"perturbation ±{255 * reach:.3g}/255", "attacked")
    figure, axes = tiles(rows, len(images), max((len(name) for name in classes), default=1) + len("says "))
    for column in range(len(images)):
        true = int(labels[column])
        for row, picture, said in (
            (0, images[column], int(clean_predictions[column])),
            (2, adversarial[column], int(adversarial_predictions[column])),
        ):
            text = f"says {decision_name(classes, said)}"
            show_image(axes[row, column], picture, text, RIGHT if said == true else WRONG)
        scaled = change[column] / (2 * reach) + 0.5 if reach else torch.full_like(change[column], 0.5)
        show_image(axes[1, column], scaled, cmap="RdBu_r")
        axes[2, column].set_xlabel(f"is {classes[true]}", fontsize=FONT)
    figure.suptitle(f"{title}\ngreen: the model is right", fontsize=FONT)
    figure.savefig(path, dpi=140, bbox_inches="tight", pad_inches=0.1)
    return path


def tiles(rows: Sequence[str], images: int, longest: int) -> tuple[Figure, NDArray[np.object_]]:
    """Create a figure about 4.5 inches wide with a column of axes per image, in several rows if necessary.

    Args:
        rows: names of the rows of each image.
        images: number of images.
        longest: length of the longest caption; long captions reduce the number of columns.

    Returns:
        The figure, and its axes ``[len(rows), images]``.
    """
    needed = max(1.0, _LETTER * longest)
    beside = max(1, min(images, _COLUMNS, int(_WIDTH / needed)))
    blocks = -(-images // beside)
    size = (max(needed * beside, 2.5) + 0.5, _HEIGHT * len(rows) * blocks + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(blocks * len(rows), beside, squeeze=False)
    for place in range(images, blocks * beside):
        for row in range(len(rows)):
            axes[(blocks - 1) * len(rows) + row, place % beside].set_axis_off()
    for position, row in enumerate(axes):
        row[0].set_ylabel(fill(rows[position % len(rows)], 14), fontsize=FONT)
    found = np.empty((len(rows), images), dtype=object)
    for image in range(images):
        block, column = divmod(image, beside)
        found[:, image] = axes[block * len(rows) : (block + 1) * len(rows), column]
    return figure, found


def show_image(axes: Axes, image: Tensor, title: str = "", colour: str = "black", cmap: str = "gray") -> None:
    """Draw one image ``[C, H, W]`` in [0, 1] without ticks; grey images use ``cmap``."""
    pixels = image.detach().cpu().clamp(0, 1).permute(1, 2, 0).squeeze(-1).numpy()
    axes.imshow(pixels, cmap=cmap, vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=FONT, color=colour, pad=1.5)
    axes.set_xticks([])
    axes.set_yticks([])

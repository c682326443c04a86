"""Clean image, perturbation and adversarial image side by side, with what the model says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gat_lightning.errors import UserError

_RIGHT, _WRONG = "#1a7f37", "#cf222e"
_ROWS = ("clean", "perturbation", "adversarial")


def attack_panels(
    images: Tensor,
    adversarial: Tensor,
    labels: Tensor,
    clean_predictions: Tensor,
    adversarial_predictions: Tensor,
    classes: Sequence[str],
    path: Path,
    *,
    title: str = "",
) -> Path:
    """Draw one column per image: clean, perturbation and adversarial, each image with the predicted class.

    Predictions are green where right and red where wrong. Perturbations are scaled to the largest change of all
    images, which the row's name gives in grey levels of 255; no change is mid-grey.

    Args:
        images: ``[n, C, H, W]`` in [0, 1], C 1 or 3; at most a dozen read well.
        adversarial: the same images after the attack.
        labels: true classes ``[n]``.
        clean_predictions: predicted classes of ``images``, ``[n]``.
        adversarial_predictions: predicted classes of ``adversarial``, ``[n]``.
        classes: names of the classes.
        path: of the picture; its suffix gives the format.
        title: above the picture.

    Raises:
        UserError: no image, or numbers of images that differ.
    """
    sizes = {len(part) for part in (images, adversarial, labels, clean_predictions, adversarial_predictions)}
    if len(sizes) != 1 or 0 in sizes:
        raise UserError(f"panels need one label and two predictions per image, got lengths {sorted(sizes)}")
    longest = max((len(name) for name in classes), default=1)
    width = max(1.15, 0.085 * longest + 0.35)
    figure = Figure(figsize=(width * len(images) + 1.6, 4.5 if title else 4.2), layout="constrained")
    axes = figure.subplots(len(_ROWS), len(images), squeeze=False)
    change = (adversarial - images).detach().cpu()
    reach = float(change.abs().amax())
    for column in range(len(images)):
        true = int(labels[column])
        for row, picture, said in (
            (0, images[column], int(clean_predictions[column])),
            (2, adversarial[column], int(adversarial_predictions[column])),
        ):
            show_image(axes[row, column], picture)
            colour = _RIGHT if said == true else _WRONG
            axes[row, column].set_title(classes[said], fontsize=9, color=colour, pad=3)
        show_image(axes[1, column], change[column] / (2 * reach) + 0.5 if reach else torch.full_like(images[0], 0.5))
        axes[2, column].set_xlabel(f"is {classes[true]}", fontsize=8)
    for row, name in enumerate((_ROWS[0], f"{_ROWS[1]}\n(±{255 * reach:.3g}/255)", _ROWS[2])):
        axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, labelpad=8)
    if title:
        figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=130, bbox_inches="tight", pad_inches=0.1)
    return path


def show_image(axes: Axes, image: Tensor) -> None:
    """Draw one image ``[C, H, W]`` in [0, 1] without ticks; grey for one channel."""
    pixels = image.detach().cpu().clamp(0, 1).permute(1, 2, 0).squeeze(-1).numpy()
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])

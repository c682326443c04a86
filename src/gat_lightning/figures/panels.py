"""Panels of an attack: clean image, perturbation and adversarial image, with the model's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gat_lightning.errors import UserError
from gat_lightning.figures.tiles import FONT, show_image, tiles

_RIGHT, _WRONG = "#1a7f37", "#cf222e"


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

    Correct predictions are green, wrong ones red. Perturbations are scaled to the largest change of all images, which
    the row's name gives in grey levels of 255; mid-grey means no change.

    Args:
        images: ``[n, C, H, W]`` in [0, 1], C 1 or 3; up to a dozen are readable.
        adversarial: the same images after the attack.
        labels: true classes ``[n]``.
        clean_predictions: predicted classes of ``images``, ``[n]``.
        adversarial_predictions: predicted classes of ``adversarial``, ``[n]``.
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
    rows = ("clean", f"perturbation ±{255 * reach:.3g}/255", "adversarial")
    figure, axes = tiles(rows, len(images), max((len(name) for name in classes), default=1) + len("is "))
    for column in range(len(images)):
        true = int(labels[column])
        for row, picture, said in (
            (0, images[column], int(clean_predictions[column])),
            (2, adversarial[column], int(adversarial_predictions[column])),
        ):
            show_image(axes[row, column], picture, classes[said], _RIGHT if said == true else _WRONG)
        show_image(axes[1, column], change[column] / (2 * reach) + 0.5 if reach else torch.full_like(images[0], 0.5))
        axes[2, column].set_xlabel(f"is {classes[true]}", fontsize=FONT)
    if title:
        figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=130, bbox_inches="tight", pad_inches=0.1)
    return path

"""Gallery of images, perturbations and adversarial images with the predictions of several models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gat_lightning.attacks import Attack, ClassifierProblem
from gat_lightning.figures.tiles import show_image, tiles
from gat_lightning.randomness import BatchGenerator, Shard

_RIGHT, _WRONG = "#1a7f37", "#cf222e"


def adversarial_gallery(
    models: Mapping[str, nn.Module],
    images: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    attack: Attack,
    path: Path,
    problem: Callable[[nn.Module, Tensor], ClassifierProblem] = ClassifierProblem,
    *,
    columns: int = 4,
) -> Path:
    """Draw clean images, and for each model the perturbation, the adversarial image and the prediction.

    Args:
        models: single-task classifiers in eval mode, by display name.
        images: ``[n, C, H, W]`` in [0, 1]; one column each.
        labels: true classes ``[n]``.
        classes: names of the classes.
        attack: attack, which runs against each model separately.
        path: file of the picture; its suffix selects the format.
        problem: makes the attack problem of a model and labels; ``BinaryProblem`` for models with one logit.
        columns: maximum number of images side by side.
    """
    rows = ["clean", *(name for model in models for name in ("perturbation", model))]
    longest = max(len(name) for name in classes) + len("says ")
    figure, axes = tiles(rows, len(images), longest, columns=columns)
    for column, label in enumerate(labels.tolist()):
        show_image(axes[0, column], images[column], classes[label])
    for position, model in enumerate(models.values()):
        generator = BatchGenerator(Shard.whole(len(images)), "gallery")
        decision = problem(model, labels)
        adversarial = attack(decision, images, generator)
        with torch.no_grad():
            said = decision.logits(adversarial).argmax(1)
        upper, lower = axes[1 + 2 * position], axes[2 + 2 * position]
        reach = (adversarial - images).abs().amax().clamp(min=1e-12)
        for column in range(len(images)):
            right = bool(said[column] == labels[column])
            difference = (adversarial[column] - images[column]) / (2 * reach) + 0.5
            show_image(upper[column], difference, cmap="RdBu_r")
            answer = f"says {classes[int(said[column])]}"
            show_image(lower[column], adversarial[column], answer, _RIGHT if right else _WRONG)
    figure.suptitle(f"{attack.name.upper()}, ε = {attack.eps:.3g}: green where the model is still right", fontsize=9)
    figure.savefig(path, dpi=140, bbox_inches="tight", pad_inches=0.1)
    return path

"""Pictures of images, perturbations, adversarial images, and what models say to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from gat_lightning.attacks import Attack, ClassifierProblem
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
) -> Path:
    """Draw clean images, and for each model the perturbation, the adversarial image, and what the model says.

    Args:
        models: single-task classifiers in eval mode, by the name to show.
        images: ``[n, C, H, W]`` in [0, 1]; one column each.
        labels: true classes ``[n]``.
        classes: names of the classes.
        attack: run against each model by itself.
        path: of the picture; its suffix gives the format.
        problem: of a model and labels; ``BinaryProblem`` for models with one logit.
    """
    rows = 1 + 2 * len(models)
    figure = Figure(figsize=(1.15 * len(images) + 2.2, 1.3 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, len(images), squeeze=False)
    for column, label in enumerate(labels.tolist()):
        _show(axes[0, column], images[column], f"{classes[label]}", "black")
    _name(axes[0, 0], "clean image")
    for position, (name, model) in enumerate(models.items()):
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
            _show(upper[column], difference, "", "black", "RdBu_r")
            answer = f"says {classes[int(said[column])]}"
            _show(lower[column], adversarial[column], answer, _RIGHT if right else _WRONG)
        _name(upper[0], "perturbation")
        _name(lower[0], name)
    figure.suptitle(f"{attack.name.upper()}, ε = {attack.eps:.3g}: green where the model is still right", fontsize=11)
    figure.savefig(path, dpi=110)
    return path


def _show(axes: Axes, image: Tensor, title: str, colour: str, cmap: str = "gray") -> None:
    pixels = image.detach().cpu().clamp(0, 1).permute(1, 2, 0).squeeze(-1).numpy()
    axes.imshow(pixels, cmap=cmap, vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize=9, color=colour, pad=3)
    axes.set_xticks([])
    axes.set_yticks([])


def _name(axes: Axes, text: str) -> None:
    axes.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=9, labelpad=8)

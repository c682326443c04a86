"""The loss around one test image: the attack's direction against a random one."""

from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from gat_lightning.attacks import Norm, as_norm, undisturbed
from gat_lightning.errors import UserError
from gat_lightning.evaluation.audit.subject import margin_loss
from gat_lightning.randomness import ImageGenerator


@dataclass(frozen=True)
class LossSurface:
    """Loss and decision on a grid of images x + a u + b v.

    Attributes:
        adversarial: a of each column, in units of ε, ``[n]``; u is the adversarial direction.
        random: b of each row, in units of ε, ``[n]``; v is a random direction.
        loss: cross-entropy, ``[n, n]``, a row per b.
        margin: logit of the true class minus the highest other, ``[n, n]``; 0 on the decision boundary.
        eps: radius in pixel units, the unit of both axes.
        norm: name of the norm in which u and v have length ε.
        reached: coordinate a of the adversarial image.
    """

    adversarial: Tensor
    random: Tensor
    loss: Tensor
    margin: Tensor
    eps: float
    norm: str
    reached: float


_ORDER = {"Linf": float("inf"), "L2": 2.0, "L1": 1.0}


@torch.no_grad()
def loss_surface(
    model: nn.Module,
    image: Tensor,
    label: int,
    adversarial: Tensor,
    eps: float,
    *,
    norm: str | Norm = "Linf",
    reach: float = 2.0,
    points: int = 41,
    seed: int = 0,
    batch_size: int = 256,
) -> LossSurface:
    """Evaluate the loss on a plane through a test image.

    Gradients predict a smooth rise along the attack and a flat plane across it. Steps and ridges are signs of
    obfuscated gradients (Athalye et al., ICML 2018; Moosavi-Dezfooli et al., CVPR 2019, figure 3). Images of the grid
    are clamped to [0, 1]. The model runs in eval mode and is unchanged afterwards.

    Args:
        model: images ``[B, C, H, W]`` in [0, 1] -> logits ``[B, K]``.
        image: x, ``[C, H, W]``.
        label: its class.
        adversarial: the attacked image ``[C, H, W]``, which gives the direction u.
        eps: radius, above 0; both directions get this length.
        norm: norm of this length: ``Linf``, ``L2`` or ``L1``.
        reach: extent of the grid in units of ε, above 0.
        points: number of grid points in each direction, at least 2.
        seed: seed of the random direction: signs for L∞, normal values otherwise.
        batch_size: number of images per pass.

    Raises:
        UserError: the adversarial image is the image itself, or a setting is out of its range.
    """
    ball = as_norm(norm)
    order = _ORDER[ball.name]
    direction = adversarial - image
    length = float(torch.linalg.vector_norm(direction, order))
    if length == 0 or eps <= 0 or reach <= 0 or points < 2:
        raise UserError(
            f"a loss contour needs an adversarial image that differs from the image, eps={eps} and reach={reach} above "
            f"0 and points={points} of at least 2"
        )
    normal = ImageGenerator(torch.zeros(1, dtype=torch.long), seed, "loss-contour").normal(image.shape, image.device)[0]
    across = (normal.sign() if order == float("inf") else normal).to(image.dtype)
    u, v = (eps * each / torch.linalg.vector_norm(each, order) for each in (direction, across))
    steps = torch.linspace(-reach, reach, points, device=image.device, dtype=image.dtype)
    b, a = torch.meshgrid(steps, steps, indexing="ij")
    coordinates = torch.stack([a.flatten(), b.flatten()], 1)
    losses, margins = [], []
    with undisturbed(model, "eval", image.device), torch.no_grad():
        for part in coordinates.split(batch_size):
            grid = image + part[:, 0, None, None, None] * u + part[:, 1, None, None, None] * v
            logits = model(grid.clamp(0, 1))
            labels = torch.full((len(part),), label, device=image.device)
            losses.append(nn.functional.cross_entropy(logits, labels, reduction="none"))
            margins.append(-margin_loss(logits, labels))
    shape = (points, points)
    return LossSurface(
        steps.cpu(),
        steps.cpu(),
        torch.cat(losses).view(shape).cpu(),
        torch.cat(margins).view(shape).cpu(),
        eps,
        ball.name,
        length / eps,
    )


def loss_contour(surface: LossSurface, path: Path, *, title: str = "") -> Path:
    """Draw the loss as filled contours, the decision boundary as a white line, and both images.

    Args:
        surface: result of :func:`loss_surface`.
        path: file of the picture; its suffix selects the format.
        title: title of the picture.
    """
    figure = Figure(figsize=(6.2, 5), layout="constrained")
    axes = figure.subplots()
    a, b = surface.adversarial.numpy(), surface.random.numpy()
    filled = axes.contourf(a, b, surface.loss.double().numpy(), levels=20, cmap="viridis")
    figure.colorbar(filled, label="cross-entropy")
    if surface.margin.min() < 0 < surface.margin.max():
        axes.contour(a, b, surface.margin.numpy(), levels=[0.0], colors="white", linewidths=1.5)
        axes.plot([], [], color="white", linewidth=1.5, label="decision boundary")
    axes.plot(0, 0, "o", color="white", markeredgecolor="black", label="clean image", linestyle="none")
    axes.plot(
        surface.reached, 0, "X", color="#ff5d5d", markeredgecolor="black", label="adversarial image", linestyle="none"
    )
    axes.set_xlabel(f"adversarial direction [ε = {surface.eps}, {surface.norm}]")
    axes.set_ylabel("random direction [ε]")
    axes.legend(loc="upper left", fontsize=8, facecolor="#8a8a8a", framealpha=0.9)
    axes.set_title(title, fontsize=11)
    figure.savefig(path, dpi=130, bbox_inches="tight", pad_inches=0.1)
    return path

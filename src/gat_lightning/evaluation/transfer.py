"""Success rates of attacks from every source model on every victim (paper, Table 17)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gat_lightning.attacks import Attack, ClassifierProblem, undisturbed
from gat_lightning.batch import decide
from gat_lightning.randomness import ImageGenerator


@dataclass(frozen=True)
class TransferMatrix:
    """Result of :func:`success_rates`.

    Attributes:
        sources: names of the attacked models (rows).
        victims: names of the models that classify the adversarial images (columns).
        rates: ``[sources, victims]`` float64 in [0, 1]; NaN for a victim that classifies no clean image correctly.
        images: number of images behind each victim's rates, ``[victims]``.
    """

    sources: tuple[str, ...]
    victims: tuple[str, ...]
    rates: Tensor
    images: Tensor

    def text(self) -> str:
        """The table in percent, one source per line."""
        width = max(len(name) for name in (*self.sources, "source \\ victim"))
        columns = [max(len(name), 6) for name in self.victims]
        header = "source \\ victim".ljust(width)
        lines = ["  ".join([header, *(name.rjust(w) for name, w in zip(self.victims, columns, strict=True))])]
        for source, row in zip(self.sources, self.rates.tolist(), strict=True):
            cells = (f"{100 * rate:.2f}".rjust(w) for rate, w in zip(row, columns, strict=True))
            lines.append("  ".join([source.ljust(width), *cells]))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """``{"success_rate": {source: {victim: rate}}, "images": {victim: count}}``; a rate without images is None."""
        return {
            "success_rate": {
                source: {
                    victim: None if count == 0 else rate
                    for victim, rate, count in zip(self.victims, row, self.images.tolist(), strict=True)
                }
                for source, row in zip(self.sources, self.rates.tolist(), strict=True)
            },
            "images": dict(zip(self.victims, self.images.tolist(), strict=True)),
        }


def success_rates(
    sources: Mapping[str, nn.Module],
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    *,
    victims: Mapping[str, nn.Module] | None = None,
    batch_size: int = 256,
    seed: int = 0,
) -> TransferMatrix:
    """Success rates of attacks transferred from each source to each victim (paper, Table 17).

    The rate is the fraction of adversarial images that the victim misclassifies, among the images that it classifies
    correctly when clean. If source and victim are the same model, it is the white-box rate. All sources use the same
    random numbers, which depend on the image, not on the batch. All models run in eval mode and are unchanged
    afterwards.

    Args:
        sources: classifiers by name, images ``[B, C, H, W]`` in [0, 1] -> logits ``[B, K]``.
        images: ``[N, C, H, W]`` in [0, 1], on the models' device.
        labels: true classes ``[N]``, long.
        attack: attack on each source.
        victims: classifiers by name; None: the sources.
        batch_size: number of images per pass.
        seed: seed of the attack.

    Raises:
        ValueError: there is no model or no image, or not one label per image.
    """
    shown = sources if victims is None else victims
    if not sources or not shown or len(images) == 0 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"a transfer matrix needs models, and a class per image: got {len(sources)} sources, {len(shown)} victims, "
            f"{len(images)} images and labels of shape {list(labels.shape)}"
        )
    right = torch.zeros(len(shown), dtype=torch.long)
    fooled = torch.zeros(len(sources), len(shown), dtype=torch.long)
    with undisturbed(nn.ModuleList([*sources.values(), *shown.values()]), "eval", images.device):
        for index in torch.arange(len(images)).split(batch_size):
            x, y = images[index[0] : index[-1] + 1], labels[index[0] : index[-1] + 1]
            correct = _correct(shown, x, y)
            right += correct.sum(1)
            for row, model in enumerate(sources.values()):
                generator = ImageGenerator(index, seed, "transfer")
                adversarial = attack(ClassifierProblem(model, y), x, generator)
                fooled[row] += (correct & ~_correct(shown, adversarial, y)).sum(1)
    return TransferMatrix(tuple(sources), tuple(shown), fooled.double() / right, right)


@torch.no_grad()
def _correct(models: Mapping[str, nn.Module], images: Tensor, labels: Tensor) -> Tensor:
    """Bool ``[models, B]``, on the CPU."""
    return torch.stack([decide(model(images)) == labels for model in models.values()]).cpu()

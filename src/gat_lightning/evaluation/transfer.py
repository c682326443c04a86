"""Success rates of attacks from every source model on every victim (paper, Table 17)."""

import math
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
        of_all: share of all images that the victim misclassifies, 1 minus its robust accuracy: the success rate of the
            paper. ``[sources, victims]`` float64 in [0, 1].
        of_correct: share of the images that the victim classifies correctly when clean and misclassifies when
            adversarial; NaN for a victim that classifies no clean image correctly. ``[sources, victims]``.
        images: number of images, the denominator of ``of_all``.
        correct: number of images that each victim classifies correctly when clean, the denominators of ``of_correct``,
            ``[victims]``.
    """

    sources: tuple[str, ...]
    victims: tuple[str, ...]
    of_all: Tensor
    of_correct: Tensor
    images: int
    correct: Tensor

    def text(self) -> str:
        """Both tables in percent, one source per line."""
        counts = ", ".join(f"{name}: {count}" for name, count in zip(self.victims, self.correct.tolist(), strict=True))
        return "\n".join(
            [
                f"Of all {self.images} images, misclassified (the paper's success rate, 1 - robust accuracy):",
                self._table(self.of_all),
                f"Of the images that the victim classifies correctly when clean ({counts}), misclassified:",
                self._table(self.of_correct),
            ]
        )

    def _table(self, rates: Tensor) -> str:
        width = max(len(name) for name in (*self.sources, "source \\ victim"))
        columns = [max(len(name), 6) for name in self.victims]
        header = "source \\ victim".ljust(width)
        lines = ["  ".join([header, *(name.rjust(w) for name, w in zip(self.victims, columns, strict=True))])]
        for source, row in zip(self.sources, rates.tolist(), strict=True):
            cells = (f"{100 * rate:.2f}".rjust(w) for rate, w in zip(row, columns, strict=True))
            lines.append("  ".join([source.ljust(width), *cells]))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The rates with their denominators as plain types, for JSON.

        Returns:
            ``success_of_all`` and ``success_of_correct`` by source and victim (None for a rate of no image), the number
            of ``images``, and ``correct_when_clean`` by victim.
        """
        return {
            "success_of_all": self._by_name(self.of_all),
            "success_of_correct": self._by_name(self.of_correct),
            "images": self.images,
            "correct_when_clean": dict(zip(self.victims, self.correct.tolist(), strict=True)),
        }

    def _by_name(self, rates: Tensor) -> dict[str, dict[str, float | None]]:
        return {
            source: {victim: None if math.isnan(rate) else rate for victim, rate in zip(self.victims, row, strict=True)}
            for source, row in zip(self.sources, rates.tolist(), strict=True)
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

    The paper's rate is the share of all adversarial images that the victim misclassifies, 1 - robust accuracy (section
    7: "98.47 % (i.e., 1.53 % robust accuracy)"). The usual one of the field is the share among the images that the
    victim classifies correctly when clean. If source and victim are the same model, they are white-box rates. All
    sources use the same random numbers, which depend on the image, not on the batch. All models run in eval mode and
    are unchanged afterwards.

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
    wrong, fooled = torch.zeros(2, len(sources), len(shown), dtype=torch.long)
    with undisturbed(nn.ModuleList([*sources.values(), *shown.values()]), "eval", images.device):
        for index in torch.arange(len(images)).split(batch_size):
            x, y = images[index[0] : index[-1] + 1], labels[index[0] : index[-1] + 1]
            correct = _correct(shown, x, y)
            right += correct.sum(1)
            for row, model in enumerate(sources.values()):
                generator = ImageGenerator(index, seed, "transfer")
                adversarial = attack(ClassifierProblem(model, y), x, generator)
                missed = ~_correct(shown, adversarial, y)
                wrong[row] += missed.sum(1)
                fooled[row] += (correct & missed).sum(1)
    of_all, of_correct = wrong.double() / len(images), fooled.double() / right
    return TransferMatrix(tuple(sources), tuple(shown), of_all, of_correct, len(images), right)


@torch.no_grad()
def _correct(models: Mapping[str, nn.Module], images: Tensor, labels: Tensor) -> Tensor:
    """Bool ``[models, B]``, on the CPU."""
    return torch.stack([decide(model(images)) == labels for model in models.values()]).cpu()

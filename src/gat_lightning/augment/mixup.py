"""Mixup: weighted means of two images."""

from torch import Tensor

from gat_lightning.augment.mixing import PairMixing
from gat_lightning.randomness import BatchGenerator


class Mixup(PairMixing):
    """λ x + (1 - λ) x' for two images, and the same for their losses.

    Zhang et al., "mixup: beyond empirical risk minimization" (ICLR 2018), section 2. Here each image has its own λ.

    Args:
        base: augmentation of the single images before.
        alpha: λ follows Beta(α, α); above 0, 1 in the paper's CIFAR experiments.
        probability: with which an image is mixed at all, in (0, 1].

    Raises:
        SettingError: ``alpha`` or ``probability`` is out of its range.
    """

    def mix(self, images: Tensor, others: Tensor, share: Tensor, generator: BatchGenerator) -> tuple[Tensor, Tensor]:
        """The weighted means."""
        own = share[:, None, None, None]
        return (own * images + (1 - own) * others).clamp(0, 1), share

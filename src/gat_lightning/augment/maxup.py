"""MaxUp: trains on the worst of several augmented copies."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from gat_lightning.augment.base import Augmentation, Generators, Identity, LossOf
from gat_lightning.batch import Batch
from gat_lightning.validate import check_int


class MaxUp(Identity):
    """Augments each image several times, and goes on with the copy on which the target's loss is largest.

    Gong et al., "MaxUp: a simple way to improve generalization of neural network training" (2020), eq. 2: the gradient
    of the largest loss is that of the copy which has it. Copies are compared on clean images, at the cost of one
    forward pass each.

    Args:
        base: augmentation that makes the copies.
        copies: m, at least 2; 4 in the paper's ImageNet experiments, 10 on CIFAR.

    Raises:
        SettingError: ``copies`` is not a whole number above 1.
    """

    needs_target = True

    def __init__(self, base: Augmentation, copies: int = 4) -> None:
        self.base, self.copies = base, check_int("copies", copies, 2)

    def at_step(self, batch: Batch, generators: Generators, loss_of: LossOf) -> Batch:
        """The worst copy of every image, with its dense labels."""
        copies = []
        for copy in range(self.copies):
            values = generators(f"maxup {copy}").rows(self.base.draw, batch.images.device)
            copies.append(batch.moved(partial(self.base, values=values)))
        worst = torch.stack([loss_of(copy.images, copy.labels) for copy in copies]).argmax(0)
        labels = {
            name: _pick(torch.stack([copy.labels[name] for copy in copies]), worst) if label.dim() == 4 else label
            for name, label in batch.labels.items()
        }
        return replace(batch, images=_pick(torch.stack([copy.images for copy in copies]), worst), labels=labels)


def _pick(candidates: Tensor, which: Tensor) -> Tensor:
    """Of candidates ``[m, B, ...]`` the one that ``which`` ``[B]`` names for each sample."""
    return candidates[which, torch.arange(len(which), device=which.device)]

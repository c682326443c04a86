"""Draw of some images of a split, the same for every model and seed."""

import numpy as np
import torch
from torch import Tensor

from gat_lightning.batch import has_label
from gat_lightning.data.splits import quotas, stratified
from gat_lightning.randomness import generator_for


def draw_images(labels: Tensor, groups: Tensor | None, size: int, *key: int | str) -> Tensor:
    """Draw labelled images so that every class keeps its share.

    Where images belong to patients, whole patients are drawn: in random order, each is taken, and later given back, if
    that brings the counts of the classes nearer to their shares, until none does. The number of images and the shares
    are then as near as this allows.

    Args:
        labels: of every image: class index, long ``[n]``, or a number, float ``[n]``, by which nothing is balanced.
        groups: patient of every image, long ``[n]``; None if each image stands for itself.
        size: number of images to draw, at least 1; all labelled ones if there are no more.
        *key: of the draw, such as the name of the data set and of the split; ``size`` is always part of it.

    Returns:
        Positions drawn, long, ascending.
    """
    labelled = has_label(labels).nonzero().flatten()
    if size >= len(labelled):
        return labelled
    classes = labels[labelled].cpu()
    if classes.is_floating_point():
        classes = torch.zeros(len(labelled), dtype=torch.long)
    if groups is None:
        return labelled[stratified(classes, size, *key, size)[0]]
    return labelled[_whole_groups(classes, groups.to(labelled.device)[labelled].cpu(), size, *key, size)]


def _whole_groups(classes: Tensor, groups: Tensor, size: int, *key: int | str) -> Tensor:
    """Positions of the samples of drawn groups, about ``size`` of them."""
    present, of_class = classes.unique(return_inverse=True)
    numbers, of_group = groups.unique(return_inverse=True)
    counts = np.zeros((len(numbers), len(present)), dtype=np.int64)
    np.add.at(counts, (of_group.numpy(), of_class.numpy()), 1)
    missing = quotas(torch.from_numpy(counts.sum(0)), size).numpy()
    order = torch.randperm(len(numbers), generator=generator_for(*key)).numpy()
    drawn = np.zeros(len(numbers), dtype=bool)
    nearer = True
    while nearer and missing.any():
        nearer = False
        for group in order:
            left = missing + (counts[group] if drawn[group] else -counts[group])
            if np.abs(left).sum() < np.abs(missing).sum():
                drawn[group], missing, nearer = not drawn[group], left, True
    if not drawn.any():  # even the smallest group is more than twice too large
        drawn[order[counts[order].sum(1).argmin()]] = True
    return torch.from_numpy(drawn)[of_group].nonzero().flatten()

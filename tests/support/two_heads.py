"""A model with two heads, and its clean pass."""

import torch

from gat_lightning.tasks.forward import ForwardPass
from gat_lightning.tasks.views import Views


class TwoHeads(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = torch.nn.Linear(6, 5)
        self.heads = torch.nn.ModuleList(torch.nn.Linear(5, n) for n in (4, 3, 2))

    def losses(self, images, labels):
        features = torch.tanh(self.trunk(images.flatten(1)))
        return [
            torch.nn.functional.cross_entropy(head(features), label, reduction="none", ignore_index=-1)
            for head, label in zip(self.heads, labels, strict=True)
        ]


def clean_pass(model, images, labels):
    names = ["class", "macro", "rotation"]
    images = images.detach().requires_grad_()
    losses = dict(zip(names, model.losses(images, labels), strict=True))
    valid = {name: label != -1 for name, label in zip(names, labels, strict=True)}
    counts = {frozenset((a, b)): (valid[a] & valid[b]).sum().clamp(min=1) for a in names for b in names}
    return ForwardPass(images, {}, losses, valid, Views(images, {}, counts=counts), encode=None)

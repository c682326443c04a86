"""A rule whose weights a test gives."""

import torch

from gat_lightning.weighting import Weighting


class Given(Weighting):
    """The given weights, whatever the Gramian; of the first ones where there are fewer objectives."""

    def __init__(self, weights, adaptive=True):
        self.weights, self.adaptive = torch.as_tensor(weights, dtype=torch.float64), adaptive

    def __call__(self, gramian, losses=None, names=None):
        return self.weights[: len(gramian)].clone()

"""Mean and standard deviation of pixels, for the model's normalisation layer."""

import torch
from torch import Tensor

_CHUNK = 1024


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of pixels in [0, 1], from counts of grey levels.

    Args:
        images: uint8 ``[N, C, H, W]``, N at least 1.

    Returns:
        Mean and standard deviation, C values each; the standard deviation of a constant channel is set to 1.
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = torch.zeros(256, dtype=torch.float64)
        for chunk in images[:, channel].split(_CHUNK):
            counts += torch.bincount(chunk.flatten(), minlength=256)
        share = counts / counts.sum()
        mean = share @ levels
        deviation = (share @ (levels - mean) ** 2).sqrt()
        means.append(mean.item())
        deviations.append(deviation.item() if counts.count_nonzero() > 1 else 1.0)
    return tuple(means), tuple(deviations)

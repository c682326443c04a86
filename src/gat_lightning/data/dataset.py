"""Images kept as one uint8 array, handed out as whole batches."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.data import Dataset

from gat_lightning.batch import Batch
from gat_lightning.data.sampler import Request
from gat_lightning.randomness import Shard


class ArrayDataset(Dataset[Batch]):
    """Some rows of an array of images; several splits may share one array.

    Args:
        images: uint8 ``[N, C, H, W]`` in any memory layout, on any device.
        labels: ``{name: tensor [N, ...]}``.
        rows: which of the N images belong to the split, long ``[n]``.
    """

    def __init__(self, images: Tensor, labels: Mapping[str, Tensor], rows: Tensor) -> None:
        self.images = images
        self.rows = rows.to(images.device)
        self.labels = {name: label.to(images.device)[self.rows] for name, label in labels.items()}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, request: Request | list[int]) -> Batch:
        """The samples at these positions of the split as one batch, on the array's device.

        Args:
            request: positions and the part of the joined batch that they are; or positions of a whole batch.

        Returns:
            Images float32 in [0, 1], contiguous, with all labels.
        """
        positions, shard = request if isinstance(request, tuple) else (request, Shard.whole(len(request)))
        index = torch.tensor(positions, dtype=torch.long, device=self.images.device)
        images = self.images[self.rows[index]].to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        return Batch(images, {name: label[index] for name, label in self.labels.items()}, index, shard)

    def __getitem__(self, position: int) -> Batch:
        """A batch of one."""
        return self.__getitems__([position])


def home_of(bytes_needed: int, device: torch.device, workers: int) -> torch.device:
    """Where an array should live: on the GPU if the main process loads and it fits in a quarter of the free memory."""
    if workers or device.type != "cuda":
        return torch.device("cpu")
    free, _ = torch.cuda.mem_get_info(device)
    return device if bytes_needed <= free // 4 else torch.device("cpu")

"""Batches of several ranks, joined."""

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from gat_lightning.batch import Batch
from gat_lightning.data.sampler import shard_of

SIZES = (6, 6, 5)


def joined(step):
    generator = torch.Generator().manual_seed(step)
    images = torch.rand(SIZES[step], 1, 4, 4, dtype=torch.float64, generator=generator)
    labels = {"class": torch.randint(4, (SIZES[step],), generator=generator)}
    labels["macro"] = labels["class"] // 2
    labels["macro"][:2] = -1
    labels["class"][2:4] = -1
    return images, labels


class Joined(pl.LightningDataModule):
    """Three joined batches, the last one uneven; each rank gets its part."""

    def train_dataloader(self):
        batches = []
        for step in range(len(SIZES)):
            images, labels = joined(step)
            shard = shard_of(len(images), self.trainer.global_rank, self.trainer.world_size)
            part = slice(shard.offset, shard.offset + shard.size)
            own = {name: label[part] for name, label in labels.items()}
            batches.append(Batch(images[part], own, torch.arange(len(images))[part], shard))
        return DataLoader(batches, batch_size=None)

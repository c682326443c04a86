"""Loaders of several ranks, and trainings that record the images that they saw."""

import pytorch_lightning as pl
import torch

from support.trainers import quiet_trainer


def joined(samplers):
    """Concatenate what all ranks yield in each step, checking that the shards fit together."""
    for step in zip(*samplers, strict=True):
        offset = 0
        for positions, shard, _ in step:
            assert shard.offset == offset
            assert shard.size == len(positions)
            offset += shard.size
        assert {request.shard.total for request in step} == {offset}
        sizes = [request.shard.size for request in step]
        assert max(sizes) - min(sizes) <= 1
        yield [position for request in step for position in request.positions]


class Recorder(pl.LightningModule):
    """Keeps what each step sees; optimises by hand, as the product does."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.steps, self.seen = [], {"val": [], "test": []}

    def training_step(self, batch, batch_idx):
        self.steps.append((self.current_epoch, batch_idx, batch.index.tolist(), batch.images))
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(self.weight * batch.images.mean())
        optimizer.step()

    def validation_step(self, batch, batch_idx):
        self.seen["val"].append(batch)

    def test_step(self, batch, batch_idx):
        self.seen["test"].append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveOnce(pl.Callback):
    def __init__(self, hook, at, path):
        self.at, self.path, self.calls = at, path, 0
        setattr(self, hook, self._save)

    def _save(self, trainer, *_):
        if not trainer.sanity_checking:
            if self.calls == self.at:
                trainer.save_checkpoint(self.path)
            self.calls += 1


def fit(data, ckpt_path=None, **settings):
    module = Recorder()
    quiet_trainer(**{"max_epochs": 3, **settings}).fit(module, datamodule=data, ckpt_path=ckpt_path)
    return module


def positions(module):
    return [step[:3] for step in module.steps]

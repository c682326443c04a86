"""What a model is trained on does not depend on the number of processes and workers."""

import pytest
import pytorch_lightning as pl
import torch

from gat_lightning.attacks import PGD
from gat_lightning.config.build import build_data, build_module, build_trainer
from support.training_runs import tiny

BATCHES = 20
INPUTS = (
    "task=macro+rotation", "data.views=shared", "weighting=equal", "augment=standard", "data.crop_padding=2",
    "data.flip=true", "data.batch_size=33", "trainer.max_epochs=5", f"+trainer.max_steps={BATCHES}",
    "+trainer.limit_val_batches=0", "+trainer.enable_checkpointing=false", "+trainer.enable_progress_bar=false",
)  # fmt: skip


class FirstPoint:
    """A problem that remembers where the attack starts: the first images whose loss it asks for."""

    def __init__(self, problem):
        self.module, self._problem, self.images = problem.module, problem, None

    def loss(self, images):
        self.images = images.detach().clone() if self.images is None else self.images
        return self._problem.loss(images)


class RecordingPGD(PGD):
    """PGD that keeps the images that it was last given, as the tasks have rewritten them, and its start."""

    def perturb(self, problem, images, generator):
        watched = FirstPoint(problem)
        adversarial = super().perturb(watched, images, generator)
        self.rewritten, self.start = images, watched.images
        return adversarial


class Record(pl.Callback):
    """Writes what each rank was trained on."""

    def __init__(self, directory):
        self.directory, self.batches = directory, []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        seen = {"index": batch.index, "augmented": batch.images}
        seen |= {"rewritten": module.attack.rewritten, "start": module.attack.start}
        self.batches.append({name: value.clone() for name, value in seen.items()})

    def on_train_end(self, trainer, module):
        torch.save(self.batches, self.directory / f"rank{trainer.global_rank}.pt")


def inputs(directory, devices, workers):
    """The joined batches of a run, each ``{what: tensor [B, ...]}``."""
    several = [f"trainer.devices={devices}", "+trainer.strategy=ddp_spawn"] if devices > 1 else []
    config = tiny(directory, *INPUTS, f"data.workers={workers}", *several)
    config.callbacks = {}
    config.attack._target_ = f"{RecordingPGD.__module__}.RecordingPGD"
    data = build_data(config)
    trainer = build_trainer(config)
    trainer.callbacks.append(Record(directory))
    trainer.fit(build_module(config, data.info), datamodule=data)
    ranks = [torch.load(directory / f"rank{rank}.pt", weights_only=True) for rank in range(devices)]
    return [
        {name: torch.cat([part[name] for part in parts]) for name in parts[0]} for parts in zip(*ranks, strict=True)
    ]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return inputs(tmp_path_factory.mktemp("inputs") / "alone", devices=1, workers=0)


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "workers"), [(1, 2), (2, 0)])
def test_batches_augmentations_rotations_and_starts_are_the_same_image_by_image(alone, tmp_path, devices, workers):
    other = inputs(tmp_path / "other", devices, workers)
    assert len(alone) == len(other) == BATCHES
    for mine, theirs in zip(alone, other, strict=True):
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert torch.equal(mine[name], theirs[name]), name


@pytest.mark.slow
def test_every_epoch_has_another_order_other_augmentations_rotations_and_starts(alone):
    """Else the test above would be of nothing."""
    sizes = [len(batch["index"]) for batch in alone]
    per_epoch = sizes.index(min(sizes)) + 1
    assert 1 < per_epoch < BATCHES / 2
    epochs = [
        {name: torch.cat([batch[name] for batch in alone[first : first + per_epoch]]) for name in alone[0]}
        for first in (0, per_epoch)
    ]
    assert not torch.equal(epochs[0]["index"], epochs[1]["index"])
    sorted_ = [{name: value[epoch["index"].argsort()] for name, value in epoch.items()} for epoch in epochs]
    assert torch.equal(sorted_[0]["index"], sorted_[1]["index"])
    for epoch in sorted_:
        turned = torch.stack([epoch["augmented"].rot90(turns, (2, 3)) for turns in range(4)])
        matches = (turned == epoch["rewritten"]).flatten(2).all(2)
        assert matches.any(0).all()
        assert matches.any(1).all()
        moved = (epoch["start"] - epoch["rewritten"]).flatten(1).abs()
        assert (moved.amax(1) > 0.05).all()
        assert moved.max() <= 0.15 + 1e-6
    for name in ("augmented", "rewritten", "start"):
        differing = (sorted_[0][name] != sorted_[1][name]).flatten(1).any(1)
        assert differing.float().mean() > 0.5, name

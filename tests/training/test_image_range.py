"""Images that come from grey levels are looked at once a pass; others at every step, as by an attack that is called."""

import pytest
import torch
from torch.utils.data import DataLoader

from gat_lightning.attacks import PGD
from gat_lightning.augment import Augmentation
from gat_lightning.batch import Batch
from gat_lightning.data import ArrayDataModule, LabelledImages, Splits
from gat_lightning.methods import Madry
from gat_lightning.randomness import Shard
from support.trainers import quiet_trainer
from support.training_steps import INFO, toy_module

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


class Toy(ArrayDataModule):
    """60 images of the shape and with the labels of the toy module."""

    def describe(self):
        return INFO

    def load(self):
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (80, 1, 4, 4), generator=generator, dtype=torch.uint8)
        classes = torch.arange(80) % 4
        parts = (slice(60), slice(60, None))
        return Splits(*(LabelledImages(images[p], {"class": classes[p], "macro": classes[p] // 2}) for p in parts))


@pytest.fixture
def looked(monkeypatch):
    """Shapes of the images whose range was looked at."""
    shapes, aminmax = [], torch.Tensor.aminmax

    def recorded(tensor, **settings):
        shapes.append(tensor.shape)
        return aminmax(tensor, **settings)

    monkeypatch.setattr(torch.Tensor, "aminmax", recorded)
    return shapes


def module():
    return toy_module(Madry("combined"), "off", None, False).float()


def test_a_training_looks_once_an_epoch(looked):
    trainer = quiet_trainer(max_epochs=2, limit_val_batches=0)
    trainer.fit(module(), datamodule=Toy(batch_size=16, val_fraction=0.2))
    assert trainer.global_step == 6
    assert looked == [(16, 1, 4, 4)] * 2


class Brighter(Augmentation):
    def draw(self, samples, generator):
        return torch.zeros(samples, 1)

    def __call__(self, images, values):
        return 3 * images


def test_an_augmentation_that_leaves_the_range_is_named_at_the_first_step():
    trainer = quiet_trainer(max_epochs=1, limit_val_batches=0)
    with pytest.raises(ValueError, match=r"An attack needs images in \[0, 1\], got values from .* to 3"):
        trainer.fit(module(), datamodule=Toy(batch_size=16, augment=Brighter()))
    assert trainer.global_step == 0


def test_images_of_another_loader_are_looked_at_at_every_step(looked):
    batches = [Batch(torch.rand(4, 1, 4, 4), {"class": torch.arange(4), "macro": torch.arange(4) // 2},
                     torch.arange(4), Shard.whole(4)) for _ in range(3)]  # fmt: skip
    batches[2].images[1] += 1
    trainer = quiet_trainer(max_epochs=1)
    with pytest.raises(ValueError, match=r"An attack needs images in \[0, 1\]"):
        trainer.fit(module(), DataLoader(batches, batch_size=None))
    assert trainer.global_step == 2
    assert len(looked) == 3


def test_an_attack_looks_unless_it_is_told_that_the_images_are_in_range():
    attack = PGD(eps=0.1, steps=1, random_start="none")
    images = torch.tensor([-0.5, 0.5, 1.5]).view(1, 1, 1, 3)

    def loss(x):
        return x.sum((1, 2, 3))

    with pytest.raises(ValueError, match=r"An attack needs images in \[0, 1\], got values from -0\.5 to 1\.5"):
        attack(loss, images)
    found = attack(loss, images, in_range=True)
    torch.testing.assert_close(found.flatten(), torch.tensor([0.025, 0.525, 1.0]))

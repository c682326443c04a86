"""The data modules under a real Trainer: epochs reach the sampler, resumes are exact, augmentation is for training."""

import pytest
import torch

from gat_lightning.augment import Augmentation, RandomCropFlip
from support.loaders import Recorder, SaveOnce, fit, positions
from support.trainers import quiet_trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_epoch_has_the_order_of_its_number(toy, workers):
    steps = positions(fit(toy(batch_size=32, workers=workers)))
    sampler = toy(batch_size=32).train_dataloader().batch_sampler
    expected = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        expected += [(epoch, i, request[0]) for i, request in enumerate(sampler)]
    assert steps == expected
    assert len({str(steps[4 * epoch : 4 * epoch + 4]) for epoch in range(3)}) == 3


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("hook", "at", "steps_before"),
    [
        pytest.param("on_train_batch_end", 1, 2, id="mid first epoch"),
        pytest.param("on_train_batch_end", 3, 4, id="last batch of first epoch"),
        pytest.param("on_train_batch_end", 6, 7, id="mid second epoch"),
        pytest.param("on_train_batch_start", 6, 6, id="before a step of the second epoch, as on an interrupt"),
        pytest.param("on_validation_end", 1, 8, id="after validation of second epoch"),
        pytest.param("on_train_epoch_end", 1, 8, id="end of second epoch"),
    ],
)
def test_a_resume_sees_what_the_whole_run_saw(toy, tmp_path, hook, at, steps_before, workers):
    path = tmp_path / "saved.ckpt"
    settings = {"batch_size": 32, "workers": workers, "augment": RandomCropFlip(1, True)}
    whole = fit(toy(**settings), callbacks=[SaveOnce(hook, at, path)])
    resumed = fit(toy(**settings), ckpt_path=path)
    assert len(whole.steps) == 12
    assert positions(resumed) == positions(whole)[steps_before:]
    for step, expected in zip(resumed.steps, whole.steps[steps_before:], strict=True):
        assert torch.equal(step[3], expected[3])
    assert torch.equal(resumed.weight, whole.weight)


def test_a_loader_used_after_training_gives_a_whole_epoch(toy):
    data = toy(batch_size=32)
    fit(data)
    assert len(list(data.train_dataloader())) == 4


def test_overfitting_repeats_the_same_batches(toy):
    steps = positions(fit(toy(batch_size=32), overfit_batches=2, limit_val_batches=0))
    assert len(steps) == 6
    assert [step[1:] for step in steps[:2]] == [step[1:] for step in steps[2:4]] == [step[1:] for step in steps[4:]]


class Blank(Augmentation):
    def draw(self, samples, generator):
        return torch.zeros(samples, 1)

    def __call__(self, images, values):
        return torch.zeros_like(images)


def test_only_training_images_are_augmented(toy):
    data = toy(batch_size=32, augment=Blank())
    module = fit(data)
    quiet_trainer().test(module, datamodule=data, verbose=False)
    quiet_trainer().validate(module, datamodule=data, verbose=False)
    assert all(not images.any() for *_, images in module.steps)
    for split in ("val", "test"):
        assert module.seen[split]
        for batch in module.seen[split]:
            assert torch.equal(batch.images, data.split(split).__getitems__(batch.index.tolist()).images)


def test_test_loop_sees_every_image_once(toy):
    data = toy(batch_size=9)
    module = Recorder()
    quiet_trainer().test(module, datamodule=data, verbose=False)
    assert torch.cat([batch.index for batch in module.seen["test"]]).tolist() == list(range(23))

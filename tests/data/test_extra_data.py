"""Extra training images: which ones a batch gets, with which labels, and what they leave as it was."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from gat_lightning.augment import RandomCropFlip
from gat_lightning.data import ROBIN, Digits, Images, LabelledImages, Splits
from gat_lightning.data.sampler import JointBatchSampler, MixedBatchSampler
from gat_lightning.errors import SettingError, UserError
from support.extra_images import CLASSES, PICTURES
from support.loaders import SaveOnce, fit, joined, positions
from support.training_runs import SHORT, trained

MACRO = {"insect": ["ant", "bee"], "mammal": ["cat"]}


@pytest.fixture
def generated(tmp_path):
    path = tmp_path / "generated.npz"
    np.savez(path, image=PICTURES, label=CLASSES)
    return path


def epoch_of(sampler, epoch):
    sampler.set_epoch(epoch)
    return [request.positions for request in sampler]


@st.composite
def mixtures(draw):
    samples, extra, batch_size = draw(st.integers(5, 80)), draw(st.integers(1, 60)), draw(st.integers(5, 30))
    fraction = draw(st.floats(0.01, 0.99))
    assume(0 < round(batch_size * fraction) < batch_size)
    return samples, extra, fraction, batch_size, draw(st.integers(0, 5))


@given(mixtures(), st.integers(1, 5), st.integers(0, 9))
def test_every_joined_batch_has_its_fraction_and_every_rank_its_share(mixture, ranks, epoch):
    samples, _, fraction, batch_size, seed = mixture
    samplers = [MixedBatchSampler(*mixture, rank=rank, ranks=ranks) for rank in range(ranks)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    for step in zip(*samplers, strict=True):
        total = step[0][1].total
        drawn = round(total * fraction)
        extras = [sum(position >= samples for position in positions) for positions, *_ in step]
        assert sum(extras) == drawn
        assert all(abs(count - drawn * len(part[0]) / total) < 1 for count, part in zip(extras, step, strict=True))
    batches = list(joined(samplers))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    real = [position for batch in batches for position in batch if position < samples]
    alone = [position for batch in epoch_of(JointBatchSampler(samples, batch_size, seed), epoch) for position in batch]
    assert real[: len(alone)] == alone[: len(real)]
    assert samples - len(real) < max(2, ranks)
    assert len(samplers[0]) == len(batches)
    one = epoch_of(MixedBatchSampler(*mixture), epoch)
    assert batches == one[: len(batches)]


@given(mixtures(), st.integers(1, 4))
def test_extra_samples_come_in_whole_passes_that_go_on_over_epochs(mixture, batches):
    _, extra, fraction, batch_size, seed = mixture
    samples = batches * (batch_size - round(batch_size * fraction))
    assume(samples > 1)
    sampler = MixedBatchSampler(samples, extra, fraction, batch_size, seed)
    drawn = [p - samples for epoch in range(4) for batch in epoch_of(sampler, epoch) for p in batch if p >= samples]
    assert len(drawn) == 4 * batches * round(batch_size * fraction)
    passes = [drawn[start : start + extra] for start in range(0, len(drawn), extra)]
    assert all(sorted(each) == list(range(extra)) for each in passes[:-1])
    assert len(set(passes[-1])) == len(passes[-1])


def test_epochs_and_seeds_differ_and_repeat_and_can_begin_anywhere():
    def order(seed, epoch, **settings):
        return epoch_of(MixedBatchSampler(50, 200, 0.3, 10, seed, **settings), epoch)

    assert order(0, 3) == order(0, 3)
    assert len({str(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    assert order(0, 4, reshuffle=False) == order(0, 0)
    sampler = MixedBatchSampler(50, 200, 0.3, 10, 0)
    sampler.start_batch = 3
    assert [request[0] for request in sampler] == order(0, 0)[3:]


@pytest.mark.parametrize(("batch_size", "fraction"), [(2, 0.1), (10, 0.96)])
def test_a_batch_needs_both_kinds(batch_size, fraction):
    with pytest.raises(UserError, match=r"extra_fraction=.* there must be some of both kinds"):
        MixedBatchSampler(50, 20, fraction, batch_size, 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_the_images_and_labels_of_the_file(toy, generated, workers):
    data = toy(batch_size=16, extra=generated, extra_fraction=0.25, macro=MACRO, workers=workers)
    real, seen = data.split("train"), 0
    for batch in data.train_dataloader():
        extra = batch.index >= len(real)
        assert int(extra.sum()) == round(0.25 * len(batch.images))
        assert batch.images.dtype == torch.float32
        kept = real.__getitems__(batch.index[~extra].tolist())
        assert torch.equal(batch.images[~extra], kept.images)
        assert all(torch.equal(label[~extra], kept.labels[name]) for name, label in batch.labels.items())
        rows = (batch.index[extra] - len(real)).numpy()
        expected = torch.from_numpy(PICTURES[rows]).permute(0, 3, 1, 2).float() / 255
        assert torch.equal(batch.images[extra], expected)
        assert batch.labels["class"][extra].tolist() == CLASSES[rows].tolist()
        assert batch.labels["macro"][extra].tolist() == (CLASSES[rows] == 2).astype(int).tolist()
        seen += int((~extra).sum())
    assert seen == len(real)


def test_splits_and_statistics_are_those_without_extra_images(toy, generated):
    plain, more = toy(fraction=0.5, macro=MACRO), toy(fraction=0.5, macro=MACRO, extra=generated)
    assert more.info == plain.info
    for split in ("train", "val", "test"):
        assert len(more.split(split)) == len(plain.split(split))
    for one, other in zip(plain.val_dataloader(), more.val_dataloader(), strict=True):
        assert torch.equal(one.images, other.images)
    assert all(
        torch.equal(label, more.split_labels()[split][name])
        for split, labels in plain.split_labels().items()
        for name, label in labels.items()
    )


def test_other_labels_of_extra_images_are_missing(toy, generated):
    class Measured(type(toy())):
        def load(self):
            splits = super().load()
            both = (splits.train, splits.test)
            more = [
                LabelledImages(p.images, {**p.labels, "age": torch.rand(len(p.images)), "kind": p.labels["class"]})
                for p in both
            ]
            return Splits(*more)

    data = Measured(extra=generated)
    data.setup()
    labels = data.training_split().labels
    real = len(data.split("train"))
    assert labels["age"][real:].isnan().all()
    assert (labels["kind"][real:] == -1).all()
    assert not labels["age"][:real].isnan().any()
    assert len(labels["age"]) == real + 50


def test_extra_images_are_augmented_as_the_others(toy, generated):
    data = toy(batch_size=16, extra=generated, augment=RandomCropFlip(1, True))
    batch = next(iter(data.train_dataloader()))
    whole = data.augmented(batch, 2)
    part = data.augmented(data.training_split().__getitems__(batch.index[3:6].tolist()), 2)
    assert torch.equal(whole.images[3:6], part.images)
    extra = batch.index >= len(data.split("train"))
    assert not torch.equal(whole.images[extra], batch.images[extra])


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec:FutureWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_resume_in_mid_epoch_sees_what_the_whole_run_saw(toy, generated, tmp_path, workers):
    path = tmp_path / "saved.ckpt"
    settings = {"batch_size": 32, "extra": generated, "augment": RandomCropFlip(1, True)}
    whole = fit(toy(**settings), callbacks=[SaveOnce("on_train_batch_end", 9, path)])
    resumed = fit(toy(**settings, workers=workers), ckpt_path=path)
    per_epoch = len(toy(**settings).train_dataloader())
    assert per_epoch == 7
    assert len(whole.steps) == 3 * per_epoch
    assert positions(resumed) == positions(whole)[10:]
    assert all(torch.equal(one[3], other[3]) for one, other in zip(resumed.steps, whole.steps[10:], strict=True))
    assert len({str(step[2]) for step in whole.steps}) == 3 * per_epoch


def test_an_evaluation_does_not_need_the_file(tmp_path):
    data = Digits(extra=tmp_path / "gone.npz")
    data.setup("test")
    assert len(list(data.test_dataloader())) == 3
    with pytest.raises(UserError, match=r"data.extra: there is no file .*gone\.npz"):
        data.train_dataloader()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"extra": "some.hdf5"}, r"data.extra=some.hdf5: it must be an \.npz file with image and label, or"),
        ({"extra_fraction": 0}, r"extra_fraction=0: it must be a number above 0 and below 1"),
        ({"extra_fraction": 1.0}, r"extra_fraction=1.0: it must be a number above 0 and below 1"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises((SettingError, UserError), match=message):
        Digits(**settings)


def test_pictures_that_are_kept_in_memory_take_extra_images(two_folders, tmp_path):
    np.savez(tmp_path / "more.npz", image=np.full((9, 8, 8, 3), 7, np.uint8), label=np.zeros(9, int))
    data = Images(root=two_folders, size=8, batch_size=4, extra=tmp_path / "more.npz")
    data.setup()
    batches = list(data.train_dataloader())
    assert all(int((batch.images * 255 == 7).flatten(1).all(1).sum()) == 2 for batch in batches[:-1])
    assert len(batches) == len(data.split("train")) / 2


def test_data_sets_of_files_take_none(tmp_path):
    with pytest.raises(SettingError, match=r"extra='some.npz': it must be left out: ROBIN"):
        ROBIN(root=tmp_path, extra="some.npz")


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_run_with_extra_digits(tmp_path):
    digits = Digits()
    train = digits.load().train
    np.savez(tmp_path / "more.npz", image=255 - train.images[:, 0].numpy(), label=train.labels["class"].numpy())
    plain = trained(tmp_path / "plain", *SHORT)
    result = trained(
        tmp_path / "run",
        *SHORT,
        f"data.extra={tmp_path / 'more.npz'}",
        "data.extra_fraction=0.7",
        "callbacks=default+ema",
    )
    assert result["status"] == "finished"
    assert set(result["metrics"]) == {"best", "last", "ema"}
    steps = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
        for name in ("plain", "run")
    ]
    digits.fraction = 0.1
    digits.setup()
    real = len(digits.split("train"))
    assert steps[1] == math.ceil(real / (64 - round(0.7 * 64))) > steps[0]
    assert plain["metrics"]["last"] != result["metrics"]["last"]

"""Images without the target's label: where they come from, which ones a batch gets, and how visits are augmented."""

import re
import shutil

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from gat_lightning.augment import RandomCropFlip
from gat_lightning.data import Arrays, Digits, Images
from gat_lightning.data.sampler import JointBatchSampler, MixedBatchSampler, earlier_visits, steps_of_longer
from gat_lightning.errors import SettingError, UserError
from support.loaders import SaveOnce, fit, positions
from support.wide_pictures import levels, png

MACRO = {"insect": ["ant", "bee"], "mammal": ["cat"]}


def epochs_of(sampler, count):
    for epoch in range(count):
        sampler.set_epoch(epoch)
        yield list(sampler)


def images_of(data, split):
    part = data.split(split)
    return {image.numpy().tobytes() for image in part.__getitems__(list(range(len(part)))).images}


@given(st.lists(st.integers(0, 6), max_size=40))
def test_visits_count_the_equal_entries_before(order):
    expected = [order[:place].count(entry) for place, entry in enumerate(order)]
    assert earlier_visits(torch.tensor(order, dtype=torch.long)).tolist() == expected


@given(st.integers(2, 30), st.integers(2, 20), st.integers(1, 9), st.integers(0, 3))
def test_an_epoch_of_some_steps_has_passes_that_go_on(samples, batch_size, steps, seed):
    sampler = JointBatchSampler(samples, batch_size, seed, steps=steps)
    epochs = list(epochs_of(sampler, 3))
    assert [[len(request.positions) for request in epoch] for epoch in epochs] == [[batch_size] * steps] * 3
    drawn = [position for epoch in epochs for request in epoch for position in request.positions]
    passes = [drawn[start : start + samples] for start in range(0, len(drawn), samples)]
    assert all(sorted(each) == list(range(samples)) for each in passes[:-1])
    assert len(set(passes[-1])) == len(passes[-1])
    for epoch in epochs:
        inside = [position for request in epoch for position in request.positions]
        visits = [visit for request in epoch for visit in request.visits]
        assert visits == [inside[:place].count(position) for place, position in enumerate(inside)]


@given(st.integers(2, 60), st.integers(1, 60), st.integers(4, 30), st.floats(0.05, 0.95))
def test_an_epoch_has_a_pass_of_both_parts_and_no_more_batches_than_that_takes(labelled, unlabelled, size, fraction):
    drawn = round(size * fraction)
    assume(0 < drawn < size)
    steps = steps_of_longer(labelled, unlabelled, fraction, size)
    assert steps * (size - drawn) >= labelled
    assert steps * drawn >= unlabelled
    assert (steps - 1) * (size - drawn) < labelled or (steps - 1) * drawn < unlabelled
    batches = next(epochs_of(MixedBatchSampler(labelled, unlabelled, fraction, size, 0, steps=steps), 1))
    assert len(batches) == steps
    assert set(range(labelled + unlabelled)) == {position for request in batches for position in request.positions}
    assert all(sum(position >= labelled for position in request.positions) == drawn for request in batches)


def test_rest_are_the_training_images_that_the_fraction_leaves_out(toy):
    whole, part = toy(macro=MACRO), toy(macro=MACRO, fraction=0.3, unlabeled="rest")
    assert images_of(part, "train") | images_of(part, "rest") == images_of(whole, "train")
    assert not images_of(part, "train") & images_of(part, "rest")
    joined, labelled = part.training_split(), len(part.split("train"))
    for name in ("class", "macro"):
        assert (joined.labels[name][labelled:] == -1).all()
        assert torch.equal(joined.labels[name][:labelled], part.split("train").labels[name])
    assert (part.split("rest").labels["class"] >= 0).all()


def test_an_epoch_of_images_is_rounded_up_to_full_batches(toy):
    assert [len(batch.images) for batch in toy(batch_size=32, epoch_images=100).train_dataloader()] == [32] * 4
    few = toy(batch_size=16, fraction=0.2, unlabeled="rest", epoch_images=50)
    assert [len(batch.images) for batch in few.train_dataloader()] == [16] * 4
    assert [len(batch.images) for batch in toy(batch_size=32).train_dataloader()] == [32, 32, 32, 3]


def test_two_visits_of_an_epoch_are_augmented_differently(toy):
    data = toy(batch_size=64, fraction=0.2, epoch_images=256, augment=RandomCropFlip(2, True))
    images = {}
    for batch in data.train_dataloader():
        augmented = data.augmented(batch, 0)
        before = batch.visits if batch.visits is not None else torch.zeros(len(batch.images), dtype=torch.long)
        for position, visit, image in zip(batch.index.tolist(), before.tolist(), augmented.images, strict=True):
            images.setdefault(position, {})[visit] = image
    visits = next(iter(images.values()))
    assert sorted(visits) == list(range(len(visits)))
    assert len(visits) > 8
    assert len({image.numpy().tobytes() for image in visits.values()}) > len(visits) / 2
    plain = toy(batch_size=64, fraction=0.2, augment=RandomCropFlip(2, True))
    first = next(iter(plain.train_dataloader()))
    for position, image in zip(first.index.tolist(), plain.augmented(first, 0).images, strict=True):
        assert torch.equal(images[position][0], image)


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec:FutureWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_resume_in_mid_epoch_sees_what_the_whole_run_saw(toy, tmp_path, workers):
    path = tmp_path / "saved.ckpt"
    settings = {"batch_size": 32, "fraction": 0.2, "unlabeled": "rest", "augment": RandomCropFlip(2, True)}
    settings["epoch_images"] = 200
    whole = fit(toy(**settings), callbacks=[SaveOnce("on_train_batch_end", 9, path)])
    resumed = fit(toy(**settings, workers=workers), ckpt_path=path)
    assert len(whole.steps) == 3 * 7
    assert positions(resumed) == positions(whole)[10:]
    assert all(torch.equal(one[3], other[3]) for one, other in zip(resumed.steps, whole.steps[10:], strict=True))


def arrays_of(path, **arrays):
    np.savez(path, **arrays)
    return path


PICTURES = np.random.default_rng(3).integers(0, 256, (30, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("key", ["image", "train_images"])
def test_a_file_of_images(tmp_path, key):
    file = arrays_of(tmp_path / "more.npz", **{key: PICTURES, "label": np.zeros(3)})
    data = Digits(unlabeled=file, unlabeled_fraction=0.25, batch_size=64, fraction=0.1)
    data.setup()
    labelled = len(data.split("train"))
    for batch in data.train_dataloader():
        further = batch.index >= labelled
        assert int(further.sum()) == 16
        assert (batch.labels["class"][further] == -1).all()
        rows = (batch.index[further] - labelled).numpy()
        assert torch.equal(batch.images[further, 0], torch.from_numpy(PICTURES[rows]).float() / 255)


def test_a_folder_of_pictures_is_kept_in_memory_or_decoded_for_each_batch(tmp_path, monkeypatch, caplog):
    (tmp_path / "more" / "below").mkdir(parents=True)
    for number, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(tmp_path / "more" / ("below" if number % 2 else "") / f"{number:02}.png")
    (tmp_path / "more" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "more" / "notes.txt").write_text("no picture either")

    def split():
        data = Digits(unlabeled=tmp_path / "more", batch_size=32, fraction=0.1)
        data.setup()
        return data.training_split(), torch.arange(len(data.split("train")), len(data.training_split()))

    def images():
        joined, further = split()
        return {each.numpy().tobytes() for each in joined.__getitems__(further.tolist()).images}

    def contents():
        joined, further = split()
        return b"".join(joined.contents(further[-30:]))

    pictures = {each.tobytes() for each in PICTURES[:, None].astype(np.float32) / np.float32(255)}
    assert images() == pictures
    assert "broken.png" in caplog.text
    (tmp_path / "more" / "broken.png").rename(
        tmp_path / "more" / "0.png"
    )  # the first one, and so not among the last 30
    in_memory = contents()
    assert in_memory.count(b"IHDR") == 30
    monkeypatch.setattr("gat_lightning.data.unlabeled.available_memory", lambda: 1000)
    assert images() == pictures | {bytes(8 * 8 * 4)}
    assert contents() == in_memory
    shutil.copy(tmp_path / "more" / "02.png", tmp_path / "more" / "04.png")
    assert contents() != in_memory


def test_a_folder_of_wide_pictures_of_unknown_range_is_refused(tmp_path):
    for number in range(3):
        png(tmp_path / f"{number}.png", levels(12))
    data = Digits(unlabeled=tmp_path)
    data.setup()
    with pytest.raises(UserError, match=r"data\.unlabeled=.*largest value is 4095"):
        data.training_split()


@pytest.mark.parametrize("twice", [False, True])
def test_test_images_among_the_rest_are_named(tmp_path, caplog, twice):
    arrays = {"train_images": PICTURES[:28], "train_labels": np.arange(28) % 2, "test_labels": np.arange(2)}
    test_images = PICTURES[2:4] if twice else PICTURES[28:]
    file = arrays_of(tmp_path / "data.npz", **arrays, test_images=test_images)
    data = Arrays(path=file, fraction=0.2, batch_size=4, unlabeled="rest")
    data.setup()
    assert len(data.training_split()) > len(data.split("train"))
    found = re.search(r"rest: 2 of its images are validation or test images: .*\(test image \d\)", caplog.text)
    assert (found is not None) == twice


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"picture": PICTURES}, r"no array image or train_images; it has picture"),
        ({"image": PICTURES[:0]}, r"holds no images; set data\.unlabeled=null"),
        ({"image": PICTURES[:, :7]}, r"has shape \[30, 7, 8, 1\].*need \[N, 8, 8, 1\]"),
        ({"image": np.stack([PICTURES] * 3, 3)}, r"has shape \[30, 8, 8, 3\]"),
        ({"image": PICTURES.astype(np.float32)}, r"float32"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, arrays, message):
    data = Digits(unlabeled=arrays_of(tmp_path / "more.npz", **arrays))
    data.setup()
    with pytest.raises(UserError, match=message):
        data.training_split()


@pytest.mark.parametrize(
    ("source", "message"),
    [("gone", "no file or folder"), ("empty", "has no pictures"), ("list.txt", r"\.npz file")],
)
def test_a_source_that_is_missing_or_empty_is_refused(tmp_path, source, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("")
    data = Digits(unlabeled=tmp_path / source)
    data.setup()
    with pytest.raises(UserError, match=message):
        data.training_split()


def test_an_evaluation_does_not_need_the_source(tmp_path):
    data = Digits(unlabeled=tmp_path / "gone.npz")
    data.setup("test")
    assert len(list(data.test_dataloader())) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unlabeled": "rest"}, r"unlabeled='rest': .*fraction=1 leaves out no training image"),
        ({"unlabeled": 3}, r"unlabeled=3: .*own, rest, an \.npz file or a folder"),
        ({"unlabeled": ""}, r"unlabeled='': .*own, rest, an \.npz file or a folder"),
        ({"unlabeled": True}, r"unlabeled=True: .*true is for STL-10"),
        ({"unlabeled": "x.npz", "extra": "y.npz"}, r"data\.extra and data\.unlabeled"),
        ({"unlabeled_fraction": 1.0}, r"unlabeled_fraction=1\.0"),
        ({"epoch_images": 0}, r"epoch_images=0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises((SettingError, UserError), match=message):
        Digits(**settings)


def test_false_means_none():
    assert Digits(unlabeled=False).unlabeled is None


def test_a_data_set_without_unlabelled_images_of_its_own_says_so():
    data = Digits(unlabeled="own")
    data.setup()
    with pytest.raises(UserError, match="digits has no images without labels"):
        data.training_split()


def test_pictures_in_class_folders_have_a_rest(one_folder):
    data = Images(root=one_folder, size=8, batch_size=8, fraction=0.5, unlabeled="rest")
    data.setup()
    assert len(data.split("rest")) == pytest.approx(len(data.split("train")), abs=2)
    batch = next(iter(data.train_dataloader()))
    assert int((batch.labels["class"] == -1).sum()) == 4

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gat_lightning.data.dataset import ArrayDataset, home_of
from gat_lightning.data.sampler import Request
from gat_lightning.data.statistics import channel_statistics
from gat_lightning.errors import SettingError, UserError
from gat_lightning.randomness import Shard

MACRO = {"winged": ["bee", "ant"], "furry": ["cat"]}


def contents(loader):
    return [(b.images, b.index, b.shard, b.labels) for b in loader]


def assert_same(first, second):
    assert len(first) == len(second)
    for (images, index, shard, labels), (images2, index2, shard2, labels2) in zip(first, second, strict=True):
        assert torch.equal(images, images2)
        assert torch.equal(index, index2)
        assert shard == shard2
        assert labels.keys() == labels2.keys()
        assert all(torch.equal(labels[name], labels2[name]) for name in labels)


def all_of(data, split):
    dataset = data.split(split)
    return dataset.__getitems__(list(range(len(dataset))))


def as_bytes(batch):
    return [image.mul(255).round().byte().numpy().tobytes() for image in batch.images]


def test_batches_are_images_in_0_1_with_their_labels(toy):
    data = toy(batch_size=8, macro=MACRO)
    raw = data.load()
    by_image = {
        image.numpy().tobytes(): int(label)
        for part in (raw.train, raw.test)
        for image, label in zip(part.images, part.labels["class"], strict=True)
    }
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for batch in loader:
            assert batch.images.dtype == torch.float32
            assert batch.images.is_contiguous()
            assert batch.images.min() >= 0
            assert batch.images.max() <= 1
            assert batch.shard == Shard.whole(len(batch.images))
            assert [by_image[key] for key in as_bytes(batch)] == batch.labels["class"].tolist()
            assert torch.equal(batch.labels["macro"], (batch.labels["class"] == 2).long())


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_splits_are_disjoint_and_index_counts_within_them(toy, fraction):
    data = toy(fraction=fraction, val_fraction=0.2, batch_size=8)
    assert len(data.split("train")) == 88 * fraction
    assert len(data.split("val")) == 22 * fraction
    assert len(data.split("test")) == 23
    images = [key for split in ("train", "val", "test") for key in as_bytes(all_of(data, split))]
    assert len(set(images)) == len(images)
    for batch in data.train_dataloader():
        expected = data.split("train").__getitems__(batch.index.tolist())
        assert torch.equal(batch.images, expected.images)
        assert int(batch.index.max()) < len(data.split("train"))


def test_only_seed_and_labels_decide_the_split(toy):
    first = toy(seed=3, macro=MACRO, target="macro", batch_size=16)
    same = toy(seed=3, workers=1)
    other = toy(seed=4)
    for split in ("train", "val"):
        assert as_bytes(all_of(first, split)) == as_bytes(all_of(same, split))
        assert as_bytes(all_of(first, split)) != as_bytes(all_of(other, split))
    assert as_bytes(all_of(first, "test")) == as_bytes(all_of(other, "test"))


def test_a_fraction_does_not_keep_the_other_images(toy):
    data = toy(fraction=0.5, val_fraction=0.2)
    assert len(data.split("train").images) == 55
    assert data.split("train").images is data.split("val").images


@pytest.mark.parametrize("loader", ["train_dataloader", "val_dataloader", "test_dataloader"])
def test_workers_do_not_change_batches(toy, loader):
    alone, helped = toy(batch_size=16), toy(batch_size=16, workers=2)
    assert_same(contents(getattr(alone, loader)()), contents(getattr(helped, loader)()))


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("loader", ["train_dataloader", "val_dataloader", "test_dataloader"])
def test_ranks_share_the_joined_batch(toy, loader, ranks):
    whole = contents(getattr(toy(batch_size=9), loader)())
    parts = []
    for rank in range(ranks):
        data = toy(batch_size=9)
        data.trainer = SimpleNamespace(
            global_rank=rank,
            world_size=ranks,
            training=False,
            lightning_module=None,
            strategy=SimpleNamespace(root_device=torch.device("cpu")),
        )
        parts.append(contents(getattr(data, loader)()))
    for step, (images, index, _, _) in enumerate(whole):
        assert torch.equal(torch.cat([part[step][0] for part in parts]), images)
        assert torch.equal(torch.cat([part[step][1] for part in parts]), index)


def test_setup_twice_reads_once(toy, monkeypatch):
    data = toy()
    monkeypatch.setattr(data, "load", lambda: pytest.fail("read again"))
    data.setup("test")


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool])
def test_images_of_another_type_would_be_divided_by_255_too(toy, monkeypatch, split, dtype):
    data = toy()
    splits = data.load()
    images = getattr(splits, split)
    images.images = images.images.to(dtype)
    monkeypatch.setattr(type(data), "load", lambda self: splits)
    with pytest.raises(UserError, match=rf"Toy\.load\(\) returns images of {dtype}; they must be torch\.uint8"):
        toy()


def test_info_comes_before_setup_and_lists_macro(toy):
    info = type(toy())(macro=MACRO).info
    assert info.image == (3, 5, 4)
    assert info.labels["macro"].classes == ("winged", "furry")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 1}, r"batch_size=1: it must be a whole number of at least 2"),
        ({"batch_size": 12.5}, r"batch_size=12\.5"),
        ({"batch_size": True}, r"batch_size=True"),
        ({"fraction": 0}, r"fraction=0: it must be a number above 0 and at most 1"),
        ({"fraction": 1.1}, r"fraction=1\.1"),
        ({"fraction": "all"}, r"fraction='all': it must be a number"),
        ({"fraction": float("nan")}, r"fraction=nan"),
        ({"val_fraction": 0}, r"val_fraction=0: it must be a number above 0 and below 1"),
        ({"val_fraction": 1.0}, r"val_fraction=1\.0"),
        ({"workers": -1}, r"workers=-1: it must be a whole number of at least 0"),
        ({"target": "clas"}, r"data\.target='clas': toy has no such label, only class; did you mean class\?"),
        ({"target": "macro"}, r"data\.target='macro': toy has no such label, only class"),
        ({"macro": {"a": [0], "b": [1]}}, "class 'cat'"),
    ],
)
def test_bad_settings(toy, settings, message):
    with pytest.raises((SettingError, UserError), match=message):
        toy(**settings)


@given(
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(2, 7),
    st.lists(st.integers(0, 255), min_size=1, max_size=40),
)
def test_statistics_are_those_of_the_pixels(samples, channels, size, pixels):
    count = samples * channels * size * size
    images = torch.tensor((pixels * count)[:count], dtype=torch.uint8).view(samples, channels, size, size)
    mean, std = channel_statistics(images)
    exact = images.double().div(255).transpose(0, 1).flatten(1)
    deviation = exact.std(1, correction=0)
    constant = images.transpose(0, 1).flatten(1).amax(1) == images.transpose(0, 1).flatten(1).amin(1)
    deviation[constant] = 1
    torch.testing.assert_close(torch.tensor(mean), exact.mean(1).float())
    torch.testing.assert_close(torch.tensor(std), deviation.float())


def test_dataset_takes_plain_positions_and_any_memory_layout():
    images = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 4, 5, 3).permute(0, 3, 1, 2)
    dataset = ArrayDataset(images, {"class": torch.tensor([7, 8])}, torch.tensor([1, 0]))
    batch = dataset[0]
    assert torch.equal(batch.images, images[1:].float() / 255)
    assert batch.images.is_contiguous()
    assert batch.labels["class"].tolist() == [8]
    assert batch.shard == Shard.whole(1)
    assert len(dataset.__getitems__(Request([], Shard(2, 0, 2))).images) == 0


def test_home_is_the_gpu_only_when_a_quarter_of_it_suffices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (400, 1000))
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 1)
    assert home_of(100, gpu, workers=0) == gpu
    assert home_of(101, gpu, workers=0) == cpu
    assert home_of(1, gpu, workers=1) == cpu
    assert home_of(1, cpu, workers=0) == cpu

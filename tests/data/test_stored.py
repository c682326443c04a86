"""Images travel as the grey levels they are stored as, and become the same float32 numbers everywhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from gat_lightning.augment import CutMix, RandomCropFlip
from gat_lightning.data.dataset import ArrayDataset
from gat_lightning.data.loader import BatchLoader
from gat_lightning.data.sampler import EvaluationBatchSampler
from gat_lightning.data.stored import StoredBatch, scaled
from gat_lightning.randomness import BatchGenerator, Shard
from support.loaders import Recorder, fit
from support.trainers import quiet_trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]

MACRO = {"winged": ["bee", "ant"], "furry": ["cat"]}


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_every_grey_level_is_the_correctly_rounded_quotient(dtype):
    levels = torch.arange(256).to(dtype)
    exact = (np.arange(256, dtype=np.float64) / 255).astype(np.float32)
    for shape in ([256], [1, 1, 16, 16], [2, 2, 64]):
        assert np.array_equal(scaled(levels.clone().view(shape)).flatten().numpy(), exact)


def test_every_grey_level_on_the_cpu_is_divided_as_by_a_number():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(scaled(levels), levels.to(torch.float32).div_(255))


def test_scaled_images_are_contiguous_and_the_levels_stay():
    pixels = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 4, 5, 3).permute(0, 3, 1, 2)
    before = pixels.clone()
    images = scaled(pixels)
    assert images.is_contiguous()
    assert torch.equal(images, pixels.contiguous().float() / 255)
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_sends_grey_levels_and_the_labels_that_are_wanted(toy, workers):
    split = toy(macro=MACRO).split("test")
    loader = BatchLoader(split, EvaluationBatchSampler(len(split), 9), workers, labels=("macro", "elsewhere"))
    sent = list(DataLoader.__iter__(loader))
    assert [stored.pixels.dtype for stored in sent] == [torch.uint8] * 3
    assert [list(stored.labels) for stored in sent] == [["macro"]] * 3
    received = list(loader)
    whole = split.__getitems__(list(range(len(split))))
    assert torch.equal(torch.cat([batch.images for batch in received]), whole.images)
    assert torch.equal(torch.cat([batch.labels["macro"] for batch in received]), whole.labels["macro"])
    assert torch.equal(torch.cat([batch.index for batch in received]), whole.index)


def test_memory_is_pinned_for_a_gpu_only(toy, monkeypatch):
    split = toy().split("test")
    sampler = EvaluationBatchSampler(len(split), 9)
    pins = [BatchLoader(split, sampler, device=device).pin_memory for device in (None, torch.device("cpu"))]
    assert pins == [False, False]
    assert BatchLoader(split, sampler, device=torch.device("cuda", 0)).pin_memory

    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor.clone())
    stored = split.stored([3, 4])
    copy = stored.pin_memory()
    assert {id(tensor) for tensor in pinned} == {id(stored.pixels), id(stored.index), id(stored.labels["class"])}
    assert isinstance(copy, StoredBatch)
    assert torch.equal(copy.batch().images, stored.batch().images)
    assert copy.shard == stored.shard

    pinned.clear()
    StoredBatch(torch.empty(1, device="meta"), {}, torch.empty(1, device="meta"), Shard.whole(1)).pin_memory()
    assert pinned == []  # data that are on the GPU


def test_attacks_look_at_the_first_batch_of_every_pass(toy):
    loader = toy(batch_size=32).train_dataloader()
    for _ in range(2):
        assert [batch.in_range for batch in loader] == [False, True, True, True]


class Reader(Recorder):
    """Keeps the names of the labels that it gets."""

    def __init__(self, **attributes):
        super().__init__()
        self.names = set()
        for name, value in attributes.items():
            setattr(self, name, value)

    def training_step(self, batch, batch_idx):
        self.names.add(tuple(batch.labels))
        super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        self.names.add(tuple(batch.labels))


@pytest.mark.parametrize(
    ("attributes", "names"),
    [
        pytest.param({"labels_read": {"macro"}}, ("macro",), id="one"),
        pytest.param({"labels_read": ()}, (), id="none"),
        pytest.param({"labels_read": None}, ("class", "macro"), id="unknown"),
        pytest.param({}, ("class", "macro"), id="any module of Lightning's"),
    ],
)
def test_a_trainer_gets_the_labels_that_its_module_reads(toy, attributes, names):
    module = Reader(**attributes)
    quiet_trainer(max_epochs=1).fit(module, datamodule=toy(macro=MACRO, batch_size=32))
    assert module.names == {names}


def test_without_a_trainer_there_are_all_labels(toy):
    data = toy(macro=MACRO)
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        assert list(next(iter(loader)).labels) == ["class", "macro"]


def test_hooks_of_a_subclass_see_float_images(toy, monkeypatch):
    data, seen = toy(batch_size=32), []

    def before(batch, dataloader_idx):
        seen.append(batch.images.dtype)
        return batch

    monkeypatch.setattr(data, "on_before_batch_transfer", before)
    fit(data, max_epochs=1, limit_val_batches=0)
    assert seen == [torch.float32] * 4


def test_a_split_that_makes_its_own_batches_keeps_doing_so(toy):
    real = toy().split("test")

    class Inverted(ArrayDataset):
        def __getitems__(self, request):
            batch = super().__getitems__(request)
            return replace(batch, images=1 - batch.images)

    split = Inverted(real.images, {"class": torch.arange(len(real.images))}, real.rows)
    for workers in (0, 1):
        (batch,) = BatchLoader(split, EvaluationBatchSampler(len(split), len(split)), workers)
        assert torch.equal(batch.images, 1 - real.__getitems__(list(range(len(real)))).images)
        assert not batch.in_range


def test_labels_that_are_left_out_change_no_number_of_a_mixture(toy):
    data, mixing = toy(macro=MACRO, batch_size=32), CutMix(RandomCropFlip(1, True))
    batch = next(iter(data.train_dataloader()))
    few = next(iter(BatchLoader(data.split("train"), data.training_sampler(), labels=("macro",))))

    def mixed(each):
        return mixing.at_step(each, lambda purpose: BatchGenerator(each.shard, purpose), lambda *_: None)

    all_labels, some = mixed(batch), mixed(few)
    assert torch.equal(some.images, all_labels.images)
    assert list(some.labels) == ["macro"]
    assert torch.equal(some.labels["macro"], all_labels.labels["macro"])
    assert torch.equal(some.mixed.labels["macro"], all_labels.mixed.labels["macro"])

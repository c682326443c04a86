import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gat_lightning.augment import EpochAugmenter, Identity, RandomCropFlip
from gat_lightning.errors import SettingError
from gat_lightning.randomness import generator_for


def one_by_one(images, values, padding):
    """The plain loop that `RandomCropFlip` must equal."""
    results = []
    for image, (top, left, mirror) in zip(images, values.tolist(), strict=True):
        channels, height, width = image.shape
        padded = torch.zeros(channels, height + 2 * padding, width + 2 * padding)
        padded[:, padding : padding + height, padding : padding + width] = image
        crop = padded[:, top : top + height, left : left + width]
        results.append(crop.flip(-1) if mirror else crop)
    return torch.stack(results)


@given(
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 7),
    st.integers(1, 7),
    st.integers(0, 8),
    st.booleans(),
    st.integers(0, 99),
)
def test_crop_and_flip_equal_a_loop_over_images(batch, channels, height, width, padding, flip, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(batch, channels, height, width, generator=generator)
    augment = RandomCropFlip(padding, flip)
    values = augment.draw(batch, generator)
    result = augment(images, values)
    assert torch.equal(result, one_by_one(images, values, padding))
    assert result.dtype == images.dtype
    assert result.min() >= 0
    assert result.max() <= 1


def test_draws_cover_their_range_evenly():
    values = RandomCropFlip(2, True).draw(20000, generator_for(0))
    for column, levels in zip(values.unbind(1), (5, 5, 2), strict=True):
        counts = column.bincount()
        assert len(counts) == levels
        assert (counts / 20000 - 1 / levels).abs().max() < 0.02
    assert not RandomCropFlip(2, False).draw(1000, generator_for(0))[:, 2].any()


def test_nothing_to_do_leaves_images_as_they_are():
    images = torch.rand(3, 1, 4, 4)
    for augment in (Identity(), RandomCropFlip(0, False)):
        assert torch.equal(augment(images, augment.draw(3, generator_for(0))), images)


def test_an_image_depends_on_seed_epoch_and_sample_only():
    images = torch.rand(30, 2, 6, 6)
    index = torch.arange(30)

    def epoch_of(seed, epoch, parts):
        augment = EpochAugmenter(RandomCropFlip(2, True), 30, seed)
        result = torch.empty_like(images)
        for part in parts:
            result[part] = augment(images[part], part, epoch)
        return result

    whole = epoch_of(0, 3, [index])
    assert torch.equal(whole, epoch_of(0, 3, index.flip(0).split(7)))
    assert torch.equal(whole, epoch_of(0, 3, torch.randperm(30).split(4)))
    assert not torch.equal(whole, epoch_of(0, 4, [index]))
    assert not torch.equal(whole, epoch_of(1, 3, [index]))


def test_epochs_may_come_in_any_order():
    images, index = torch.rand(30, 1, 6, 6), torch.arange(30)
    augment = EpochAugmenter(RandomCropFlip(2, True), 30, 0)
    first = augment(images, index, 0)
    assert not torch.equal(augment(images, index, 1), first)
    assert torch.equal(augment(images, index, 0), first)


@pytest.mark.parametrize("padding", [-1, 1.5, True, "2"])
def test_bad_padding(padding):
    with pytest.raises(SettingError, match=r"padding=.*: it must be a whole number of at least 0"):
        RandomCropFlip(padding, False)

import math

import pytest
import torch
from torchvision.transforms.functional import InterpolationMode, affine

from gat_lightning.augment import EpochAugmenter, RandomAffine
from gat_lightning.errors import SettingError
from gat_lightning.randomness import generator_for


@pytest.mark.parametrize("shape", [(5, 1, 16, 16), (4, 3, 12, 20)])
def test_equals_torchvisions_affine_image_by_image(shape):
    images, augment = torch.rand(shape), RandomAffine(degrees=45, translate=0.15, scale=0.15)
    values = augment.draw(shape[0], generator_for("affine"))
    moved = augment(images, values)
    for image, value, result in zip(images, values, moved, strict=True):
        angle, down, right, scale = value.tolist()
        expected = affine(
            image,
            angle=45 * angle,
            translate=[0.15 * right * shape[3], 0.15 * down * shape[2]],
            scale=1 + 0.15 * scale,
            shear=[0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        torch.testing.assert_close(result, expected, atol=2e-4, rtol=0)


def test_values_are_uniform_and_images_stay_in_range():
    augment = RandomAffine(180, 1, 0.9)
    values = augment.draw(20_000, generator_for("range"))
    assert values.abs().max() <= 1
    assert (values.mean(0).abs() < 5 / math.sqrt(3 * 20_000)).all()
    images = torch.rand(50, 1, 9, 9)
    moved = augment(images, values[:50])
    assert moved.shape == images.shape
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert torch.allclose(RandomAffine(0, 0, 0)(images, values[:50]), images, atol=1e-5)


def test_an_image_depends_on_seed_epoch_and_sample_alone():
    images, index = torch.rand(6, 1, 8, 8), torch.arange(6)
    whole = EpochAugmenter(RandomAffine(), 6, seed=1)(images, index, 3)
    part = EpochAugmenter(RandomAffine(), 6, seed=1)(images[[4, 2]], torch.tensor([4, 2]), 3)
    torch.testing.assert_close(part, whole[[4, 2]], atol=1e-6, rtol=0)
    assert not torch.allclose(EpochAugmenter(RandomAffine(), 6, seed=1)(images, index, 4), whole)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"degrees": 200}, "degrees=200"), ({"translate": -1}, "at least 0 and at most 1"), ({"scale": 1}, "below 1")],
)
def test_values_out_of_range(settings, message):
    with pytest.raises(SettingError, match=message):
        RandomAffine(**settings)

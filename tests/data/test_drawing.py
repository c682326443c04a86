"""Images drawn for an evaluation: each class with its share, patients as a whole, the same for everybody."""

import math

import pytest
import torch

from gat_lightning.data.drawing import draw_images

KEY = ("digits", "test")


def sorted_labels(*counts):
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))


@pytest.mark.parametrize("size", [1, 3, 10, 99, 100, 5000])
@pytest.mark.parametrize("counts", [(100, 100, 100), (280, 15, 5), (1, 1, 298)])
def test_each_class_keeps_its_share_to_within_one_image(size, counts):
    labels = sorted_labels(*counts)
    drawn = draw_images(labels, None, size, *KEY)
    assert len(drawn) == len(drawn.unique()) == min(size, 300)
    assert torch.equal(drawn, drawn.sort().values)
    for number, count in enumerate(counts):
        share = count * min(size, 300) / 300
        assert abs(int((labels[drawn] == number).sum()) - share) < 1


def test_the_draw_follows_from_its_key_and_the_number_alone():
    labels = sorted_labels(100, 200)
    torch.manual_seed(3)
    first = draw_images(labels, None, 50, *KEY)
    torch.manual_seed(4)
    assert torch.equal(draw_images(labels, None, 50, *KEY), first)
    assert not torch.equal(draw_images(labels, None, 50, "other", "test"), first)
    assert not torch.equal(draw_images(labels, None, 50, "digits", "val"), first)
    assert not set(first.tolist()) <= set(draw_images(labels, None, 60, *KEY).tolist())


def test_images_without_label_are_not_drawn():
    labels = sorted_labels(50, 50)
    labels[::3] = -1
    assert (labels[draw_images(labels, None, 40, *KEY)] >= 0).all()
    assert len(draw_images(labels, None, 90, *KEY)) == int((labels >= 0).sum())
    ages = torch.linspace(0, 1, 90)
    ages[::2] = math.nan
    drawn = draw_images(ages, None, 20, *KEY)
    assert len(drawn) == 20
    assert not ages[drawn].isnan().any()
    assert len(draw_images(torch.full((5,), -1), None, 3, *KEY)) == 0


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("size", [20, 150, 400])
def test_patients_are_drawn_as_wholes_with_shares_as_near_as_that_allows(seed, size):
    """Of 1 to 8 images each, of which mostly all or none are positive."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(1, 9, (300,), generator=generator)
    patients = torch.arange(300).repeat_interleave(counts)
    risk = (torch.rand(300, generator=generator) < 0.3)[patients] * 0.8 + 0.05
    labels = (torch.rand(len(patients), generator=generator) < risk).long()
    drawn = draw_images(labels, patients, size, *KEY)
    taken = torch.isin(patients, patients[drawn])
    assert torch.equal(taken.nonzero().flatten(), drawn)
    assert abs(len(drawn) - size) <= 4
    assert abs(int(labels[drawn].sum()) - size * float(labels.float().mean())) <= 4


def test_patients_of_one_image_are_drawn_as_images_are():
    labels = sorted_labels(70, 30)
    drawn = draw_images(labels, torch.arange(100).flip(0), 20, *KEY)
    assert len(drawn) == 20
    assert int(labels[drawn].sum()) == 6


def test_a_number_below_the_smallest_patient_draws_that_patient():
    patients = torch.tensor([0] * 10 + [1] * 7 + [2] * 9)
    drawn = draw_images(torch.zeros(26, dtype=torch.long), patients, 3, *KEY)
    assert patients[drawn].tolist() == [1] * 7

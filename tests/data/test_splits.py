import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gat_lightning.data.splits import hold_out, stratified
from gat_lightning.errors import UserError

many_labels = st.lists(st.integers(0, 6), min_size=1, max_size=200).map(torch.tensor)
fractions = st.floats(0.01, 1.0)


def assert_proportional(labels, drawn, size):
    for cls in labels.unique():
        share = int((labels == cls).sum()) * size / len(labels)
        assert abs(int((labels[drawn] == cls).sum()) - share) < 1


@given(many_labels, fractions, st.integers())
def test_stratified_draws_the_asked_number_in_proportion(labels, fraction, seed):
    size = round(fraction * len(labels))
    drawn, rest = stratified(labels, size, seed)
    assert len(drawn) == size
    assert torch.equal(torch.cat([drawn, rest]).sort().values, torch.arange(len(labels)))
    assert torch.equal(drawn, drawn.sort().values)
    assert torch.equal(rest, rest.sort().values)
    assert_proportional(labels, drawn, size)


@given(many_labels, st.integers())
def test_stratified_depends_on_labels_and_key_alone(labels, seed):
    first = stratified(labels, len(labels) // 2, seed)
    torch.rand(3)
    assert torch.equal(first[0], stratified(labels.clone(), len(labels) // 2, seed)[0])


def test_stratified_draws_at_random():
    labels = torch.arange(400) % 4
    drawn = [stratified(labels, 100, seed)[0] for seed in range(50)]
    assert not torch.equal(drawn[0], drawn[1])
    frequency = torch.cat(drawn).bincount(minlength=400) / 50
    assert frequency.max() < 0.6
    assert frequency.min() > 0


@given(st.integers(20, 60), st.floats(0.1, 0.5), st.floats(0.3, 1.0), st.integers())
def test_hold_out_is_disjoint_balanced_and_as_large_as_said(per_class, val_fraction, fraction, seed):
    labels = torch.arange(per_class * 3) % 3
    training, validation, _ = hold_out(labels, val_fraction, fraction, seed)
    assert not set(training.tolist()) & set(validation.tolist())
    held_out = round(val_fraction * len(labels))
    assert len(validation) == (held_out if fraction == 1 else round(fraction * held_out))
    assert len(training) == round(fraction * (len(labels) - held_out))
    for part in (training, validation):
        counts = labels[part].bincount(minlength=3)
        assert counts.max() - counts.min() <= 2


def test_hold_out_uses_all_images_at_fraction_one():
    training, validation, _ = hold_out(torch.arange(90) % 3, 0.2, 1.0, 0)
    assert len(training) == 72
    assert len(validation) == 18
    assert set(training.tolist()) | set(validation.tolist()) == set(range(90))


def test_ten_percent_of_cifar10_is_5000_images_in_all():
    training, validation, _ = hold_out(torch.arange(50000) % 10, 0.1, 0.1, 0)
    assert labels_per_class(training) == [450] * 10
    assert labels_per_class(validation) == [50] * 10


def labels_per_class(positions):
    return (positions % 10).bincount().tolist()


def test_a_fraction_is_part_of_the_whole_split_with_the_same_seed():
    labels = torch.arange(300) % 3
    whole, part = hold_out(labels, 0.2, 1.0, 5), hold_out(labels, 0.2, 0.3, 5)
    assert all(set(p.tolist()) < set(w.tolist()) for p, w in zip(part[:2], whole[:2], strict=True))
    assert not set(part.rest.tolist()) & set(part.training.tolist())
    assert sorted([*part.training.tolist(), *part.rest.tolist()]) == whole.training.tolist()
    assert not len(whole.rest)


def test_no_validation_image_left():
    with pytest.raises(UserError, match="no validation image of 30"):
        hold_out(torch.arange(30) % 3, 0.01, 1.0, 0)


def test_no_training_image_of_a_class_left():
    with pytest.raises(UserError, match=r"fraction=0\.1 leave no training image of class 2; use a larger fraction"):
        hold_out(torch.tensor([0, 1] * 50 + [2, 2]), 0.2, 0.1, 0)

"""Draws of patients, and which splits cannot overlap."""

import hashlib
import itertools
import math
from fractions import Fraction

import pytest
import torch

from gat_lightning.data.patients import divide_patients, is_drawn, is_unseen
from gat_lightning.errors import UserError
from gat_lightning.info import PatientSplit

PURPOSES = ("test", "validation", "fraction")
SPLIT = PatientSplit("toy", "patients", 0, 0.2, 0.3, False)


def test_draws_are_thresholds_of_hashes():
    for patient, seed, purpose in itertools.product(("1", "00001", "64540", "Ä"), (0, 7), PURPOSES):
        content = f"{seed}/{purpose}/{patient}".encode()
        place = Fraction(int(hashlib.sha256(content).hexdigest()[:16], 16), 2**64)
        for fraction in (0.0, 0.2, math.nextafter(place, 0), math.nextafter(place, 1), 0.999, 1.0):
            assert is_drawn(patient, fraction, seed, purpose) == (place < Fraction(fraction))


def test_splits_of_released_data_stay():
    """Else the test patients of a newer version are those that earlier models were trained on."""
    patients = torch.arange(1, 31)
    parts = divide_patients(patients, SPLIT, 0.5)
    assert {split: sorted(patients[rows].tolist()) for split, rows in parts.items()} == {
        "train": [2, 4, 6, 7, 8, 14, 20, 23, 25],
        "val": [10, 13, 16, 21, 24, 27],
        "test": [5, 11, 15, 18, 29, 30],
        "rest": [1, 3, 9, 17, 26],
    }


@pytest.mark.parametrize("seed", range(3))
def test_draws_have_their_share_and_are_independent(seed):
    count, fraction = 20_000, 0.2
    drawn = torch.tensor([[is_drawn(str(n), fraction, seed, each) for n in range(count)] for each in PURPOSES])
    other = torch.tensor([is_drawn(str(n), fraction, seed + 1, "test") for n in range(count)])
    draws = [*drawn, other]
    deviation = math.sqrt(fraction * (1 - fraction) / count)
    for draw in draws:
        assert abs(draw.double().mean() - fraction) < 4 * deviation
    for one, two in itertools.combinations(draws, 2):
        both = (one & two).double().mean()
        assert abs(both - fraction**2) < 4 * math.sqrt(fraction**2 * (1 - fraction**2) / count)


@pytest.mark.parametrize("seed", range(5))
def test_patients_are_divided_as_wholes(seed):
    generator = torch.Generator().manual_seed(seed)
    patients = torch.randint(1000, 1200, (900,), generator=generator)
    split = PatientSplit("toy", "patients", seed, 0.2, 0.3, False)
    parts = divide_patients(patients, split, 0.5)
    rows = torch.cat(list(parts.values()))
    assert len(rows.unique()) == len(rows)
    found = [set(patients[part].tolist()) for part in parts.values()]
    assert sum(map(len, found)) == len(set().union(*found))
    for group in set().union(*found):
        assert sum(int((patients[part] == group).sum()) for part in parts.values()) == int((patients == group).sum())
    everybody = divide_patients(patients, split, 1.0)
    assert set(parts["train"].tolist()) < set(everybody["train"].tolist())
    assert set(parts["val"].tolist()) < set(everybody["val"].tolist())
    assert parts["test"].tolist() == everybody["test"].tolist() == sorted(parts["test"].tolist())
    assert everybody["val"].tolist() != sorted(everybody["val"].tolist())
    assert sum(map(len, everybody.values())) == 900


@pytest.mark.parametrize(
    ("change", "fraction", "official", "message"),
    [
        (
            {"test_fraction": 1e-9},
            1.0,
            None,
            "data.split=patients leaves no test image of the 100 images of 100 patients",
        ),
        ({"test_fraction": 1 - 1e-9}, 1.0, None, "data.split=patients leaves no training image"),
        ({"split": "official"}, 1.0, False, "data.split=official leaves no test image of the 100 images"),
        ({"split": "official"}, 1.0, True, "data.split=official leaves no training image"),
        ({"val_fraction": 1e-9}, 1.0, None, "data.val_fraction=1e-09 and data.fraction=1.0 leave no validation image"),
        ({}, 1e-9, None, "leave no validation image of the 100 images of 100 patients"),
        ({"val_fraction": 1 - 1e-9}, 1.0, None, "leave no training image"),
    ],
)
def test_an_empty_split_is_refused(change, fraction, official, message):
    split = PatientSplit(**{**vars(SPLIT), **change})
    mask = None if official is None else torch.full((100,), official)
    with pytest.raises(UserError) as caught:
        divide_patients(torch.arange(100), split, fraction, mask)
    assert message in str(caught.value)


def test_what_is_called_unseen_has_no_training_patient():
    """Both directions, by the patients themselves: 3,000 show every overlap of these settings."""
    patients = torch.arange(3000)
    official = patients % 4 == 0
    settings = [
        PatientSplit("toy", split, seed, test, val, False)
        for split, seed, test, val in itertools.product(("patients", "official"), (0, 1), (0.2, 0.4), (0.1, 0.3))
    ]
    parts = [divide_patients(patients, each, 0.8, official if each.split == "official" else None) for each in settings]
    for (one, trained), (other, evaluated) in itertools.product(zip(settings, parts, strict=True), repeat=2):
        for split in ("val", "test"):
            common = set(trained["train"].tolist()) & set(evaluated[split].tolist())
            assert is_unseen(split, other, one) == (not common), (split, one, other)

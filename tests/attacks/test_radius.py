"""Radii are shown as they were typed, and all of a run in one unit."""

import copy
import json
import pickle

import pytest

from gat_lightning.attacks import PGD, parse_budget
from gat_lightning.attacks.budget import Radius, in_one_unit


@pytest.mark.parametrize(
    ("typed", "value", "shown"),
    [
        ("8/255", 8 / 255, "8/255"),
        (" 8 / 255", 8 / 255, "8/255"),
        ("0.10", 0.1, "0.10"),
        (0.3, 0.3, "0.3"),
        (1, 1, "1"),
        (0.1 + 0.2, 0.1 + 0.2, "0.3"),
    ],
)
def test_a_radius_is_a_number_that_is_shown_as_typed(typed, value, shown):
    radius = parse_budget(typed)
    assert radius == value
    assert hash(radius) == hash(value)
    assert json.dumps(radius) == json.dumps(float(value))
    assert f"{radius}" == str(PGD(norm="L2", eps=typed).eps) == shown
    for copied in (copy.deepcopy(radius), pickle.loads(pickle.dumps(radius))):
        assert (copied, str(copied)) == (value, shown)


@pytest.mark.parametrize(
    ("radii", "shown"),
    [
        (["8/255", 0.1, "4/255"], ["8/255", "25.5/255", "4/255"]),
        ([0.1, "0.20"], ["0.1", "0.20"]),
        ([0.1, "2/10", "1/20"], ["1/10", "2/10", "0.5/10"]),
    ],
)
def test_a_run_has_one_unit(radii, shown):
    assert in_one_unit([Radius(radius) for radius in radii]) == shown

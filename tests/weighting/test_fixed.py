from __future__ import annotations

from typing import Any

import pytest
import torch

from gat_lightning.errors import SettingError
from gat_lightning.weighting import Fixed

NAMES = ["class/clean+adv", "macro/clean+adv"]


def test_weights_are_those_of_the_user() -> None:
    fixed = Fixed({"class/clean+adv": 1.0, "macro/clean+adv": 0.25})
    fixed.check(NAMES)
    assert not fixed.adaptive
    assert fixed(torch.randn(2, 2), None, NAMES).tolist() == [1.0, 0.25]
    assert fixed(torch.randn(2, 2), None, NAMES[::-1]).tolist() == [0.25, 1.0]
    assert fixed(torch.randn(1, 1), None, NAMES[1:]).tolist() == [0.25]


def test_objectives_that_are_not_named_get_the_default() -> None:
    assert Fixed({"macro/clean+adv": 0.5})(torch.eye(2), None, NAMES).tolist() == [1.0, 0.5]
    assert Fixed({"macro/clean+adv": 0.5}, default=0.0)(torch.eye(2), None, NAMES).tolist() == [0.0, 0.5]
    assert Fixed(default=2.0)(torch.eye(2)).tolist() == [2.0, 2.0]


def test_without_names_the_weights_are_found_by_position() -> None:
    assert Fixed({"1": 3.0})(torch.eye(2)).tolist() == [1.0, 3.0]


@pytest.mark.parametrize(("settings", "message"), [
    (
        {"weights": {"macro/adv": 1.0}},
        r"weights names 'macro/adv'.* class/clean\+adv, macro/clean\+adv\.",
    ),
    (
        {"weights": {"macro/clean+adv": 0.5}, "default": None},
        r"no weight for class/clean\+adv.*weights=\{class/clean\+adv: 1, macro/clean\+adv: 0\.5\}, or default=1",
    ),
    (
        {"weights": {"macro/clean+adv": 0.0}, "default": 0.0},
        "weights gives every objective weight 0",
    ),
])  # fmt: skip
def test_weights_that_do_not_fit_the_run(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fixed(**settings).check(NAMES)


@pytest.mark.parametrize(("settings", "setting"), [
    ({"weights": {"a": -1.0}}, "weights.a=-1"),
    ({"weights": {"a": float("nan")}}, "weights.a=nan"),
    ({"default": float("inf")}, "default=inf"),
])  # fmt: skip
def test_impossible_weights(settings: dict[str, Any], setting: str) -> None:
    with pytest.raises(SettingError, match=f"{setting}.*a number of at least 0"):
        Fixed(**settings)

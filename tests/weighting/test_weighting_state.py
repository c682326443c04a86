"""What weightings keep between calls, and that a run which was interrupted goes on as if it had not been."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gat_lightning.weighting import IMTL, MGDA, AlignedMTL, CAGrad, Equal, Fixed, GradVac, NashMTL, PCGrad, UPGrad

ALL: list[Any] = [Equal, Fixed, MGDA, IMTL, GradVac, PCGrad, CAGrad, AlignedMTL, NashMTL, UPGrad]
NAMES = ["class/clean", "class/adv", "macro/clean", "macro/adv", "macro/curvature"]


def steps(count: int) -> list[tuple[Tensor, list[str]]]:
    """Gramians and names, from which objectives are missing at times."""
    rng = np.random.default_rng(0)
    result = []
    for _ in range(count):
        names = [name for name in NAMES if rng.random() < 0.8] or NAMES[:1]
        jacobian = rng.standard_normal((len(names), 12)) - 0.3
        result.append((torch.from_numpy(jacobian @ jacobian.T), names))
    return result


def through_a_file(state: dict[str, Any]) -> Any:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("make", ALL)
def test_a_run_goes_on_where_it_was_interrupted(make: Any) -> None:
    whole, first = make(), make()
    expected = [whole(gramian, None, names).tolist() for gramian, names in steps(20)]
    found = [first(gramian, None, names).tolist() for gramian, names in steps(20)[:9]]
    state = first.state()
    first(steps(1)[0][0], None, steps(1)[0][1])
    second = make()
    second.load_state(through_a_file(state))
    found += [second(gramian, None, names).tolist() for gramian, names in steps(20)[9:]]
    assert found == expected
    assert second.state() == whole.state()


@pytest.mark.parametrize("make", ALL)
def test_the_state_of_another_weighting_is_none(make: Any) -> None:
    weighting, fresh = make(), make()
    weighting.load_state({"something": [1.0]})
    gramian, names = steps(1)[0]
    assert weighting(gramian, None, names).tolist() == fresh(gramian, None, names).tolist()


@pytest.mark.parametrize("make", [PCGrad, GradVac])
def test_orders_follow_from_the_seed_and_change_from_call_to_call(make: Any) -> None:
    names = [f"task{index}" for index in range(8)]
    first, second, other = make(seed=1), make(seed=1), make(seed=2)
    drawn = [first.draw_orders(names).tolist() for _ in range(3)]
    assert drawn == [second.draw_orders(names).tolist() for _ in range(3)]
    assert drawn[0] != drawn[1] != drawn[2]
    assert drawn[0] != other.draw_orders(names).tolist()
    for order in drawn[0]:
        assert len(set(order)) == 7
    assert all(row not in order for row, order in enumerate(drawn[0]))


def test_targets_follow_their_objectives() -> None:
    rng = np.random.default_rng(1)
    plain, moved = GradVac(), GradVac()
    for _ in range(10):
        jacobian = rng.standard_normal((len(NAMES), 12)) + 0.5
        gramian = torch.from_numpy(jacobian @ jacobian.T)
        order = rng.permutation(len(NAMES))
        permuted = moved(gramian[order][:, order], None, [NAMES[index] for index in order])
        assert permuted.tolist() == pytest.approx(plain(gramian, None, NAMES)[order].tolist(), rel=1e-9)


def test_targets_of_a_missing_objective_stay() -> None:
    gradvac = GradVac()
    gradvac(torch.tensor([[1.0, 0.5, 0.2], [0.5, 1.0, 0.4], [0.2, 0.4, 1.0]]), None, ["a", "b", "c"])
    before = gradvac.state()["targets"]
    gradvac(torch.tensor([[1.0, 0.9], [0.9, 1.0]]), None, ["a", "b"])
    after = gradvac.state()["targets"]
    assert before["a"]["b"] == pytest.approx(0.25)
    assert after["a"]["b"] == pytest.approx(0.575)
    assert after["c"] == before["c"]
    assert after["a"]["c"] == before["a"]["c"]
    assert gradvac.state()["calls"] == 2


def test_a_target_that_parallel_gradients_raised_to_one() -> None:
    gradvac = GradVac(beta=1.0)
    gradvac(torch.ones(2, 2))
    assert gradvac.state()["targets"]["0"]["1"] == pytest.approx(1.0)
    # Aimed at as 1 - 1e-6: its sine is 1.4e-3.
    weights = gradvac(torch.eye(2))
    assert weights.tolist() == pytest.approx([1 + 707.1] * 2, rel=1e-3)

"""Decisions: a sample with any NaN or infinite output has none."""

import math

import pytest
import torch

from gat_lightning.batch import MISSING, UNDECIDED, decide, decision_name, is_finite

BAD = [math.nan, math.inf, -math.inf]


def test_finite_logits_decide_for_the_highest_or_by_their_sign():
    logits = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(decide(logits), logits.argmax(1))
    assert decide(torch.tensor([[0.1], [0.0], [-3.0]])).tolist() == [1, 0, 0]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("classes", [1, 2, 7])
def test_one_bad_logit_anywhere_leaves_the_sample_undecided(bad, classes):
    logits = torch.randn(classes + 1, classes)
    logits[range(classes), range(classes)] = bad
    assert decide(logits).tolist()[:-1] == [UNDECIDED] * classes
    assert decide(logits)[-1] in range(2 if classes == 1 else classes)
    assert is_finite(logits).tolist() == [False] * classes + [True]


def test_undecided_agrees_with_no_label():
    assert UNDECIDED not in range(MISSING, 1000)
    assert decision_name(("cat", "dog"), UNDECIDED) == "no class"
    assert decision_name(("cat", "dog"), 1) == "dog"


def test_no_samples():
    assert decide(torch.empty(0, 3)).shape == decide(torch.empty(0, 1)).shape == (0,)
    assert is_finite(torch.empty(0, 2, 3, 4)).shape == (0,)

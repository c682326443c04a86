"""McNemar, Holm and their comparison of many evaluations, against statsmodels."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from gat_lightning.evaluation.statistics import compare, holm, mcnemar


def outcomes(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([True, True, False, False], [both, first, second, neither])
    b = np.repeat([True, False, True, False], [both, first, second, neither])
    order = np.random.default_rng(0).permutation(len(a))
    return a[order], b[order]


counts = st.integers(0, 60)


@given(st.integers(1, 60), counts, counts, counts)
def test_mcnemar_equals_statsmodels(both: int, first: int, second: int, neither: int) -> None:
    result = mcnemar(*outcomes(both, first, second, neither))
    assert (result.both_right, result.only_first_right) == (both, first)
    assert (result.only_second_right, result.both_wrong) == (second, neither)
    exact = first + second < 25
    assert result.kind == ("exact" if exact else "chi-square")
    expected = reference_mcnemar(((both, first), (second, neither)), exact=exact, correction=True)
    assert result.statistic == pytest.approx(expected.statistic)
    assert result.p_value == pytest.approx(expected.pvalue)
    swapped = mcnemar(*outcomes(both, second, first, neither))
    assert swapped.p_value == pytest.approx(result.p_value)


@pytest.mark.parametrize(("discordant", "kind"), [(0, "exact"), (24, "exact"), (25, "chi-square")])
def test_the_exact_test_is_used_below_25_discordant_pairs(discordant: int, kind: str) -> None:
    result = mcnemar(*outcomes(3, discordant, 0, 2))
    assert result.kind == kind
    assert (result.p_value == 1) == (discordant == 0)


@settings(max_examples=8)  # statsmodels is slow here
@given(st.lists(st.floats(0, 1), max_size=12))
@pytest.mark.slow
def test_holm_equals_statsmodels(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    expected = multipletests(p_values, method="holm")[1] if p_values else []
    assert adjusted == pytest.approx(list(expected))


@pytest.mark.parametrize(
    ("first", "second"),
    [([True], [True, False]), ([], []), ([1, 0], [0, 1]), ([[True]], [[True]]), ([0.5], [0.2])],
)
def test_mcnemar_refuses(first: list, second: list) -> None:
    with pytest.raises(ValueError, match=r"same images|one bool per image"):
        mcnemar(first, second)


def test_holm_and_compare_refuse() -> None:
    with pytest.raises(ValueError, match="p-values"):
        holm([0.1, 1.1])
    with pytest.raises(ValueError, match="at least two"):
        compare({"a": [True]})
    with pytest.raises(ValueError, match="level"):
        compare({"a": [True], "b": [False]}, level=5)


def test_comparison_of_several_evaluations() -> None:
    generator = np.random.default_rng(0)
    evaluations = {name: generator.random(400) < share for name, share in (("Rotation", 0.4), ("Macro", 0.6))}
    evaluations["Macro again"] = evaluations["Macro"].copy()
    evaluations["Jigsaw"] = generator.random(400) < 0.45
    comparison = compare(evaluations)
    assert [(pair.first, pair.second) for pair in comparison.pairs] == list(combinations(evaluations, 2))
    raw = [pair.test.p_value for pair in comparison.pairs]
    reject, adjusted, *_ = multipletests(raw, 0.05, "holm")
    assert [pair.adjusted_p_value for pair in comparison.pairs] == pytest.approx(list(adjusted))
    assert [pair.reject for pair in comparison.pairs] == list(reject)

    lines = comparison.text().splitlines()
    first = comparison.pairs[0]
    assert lines[0] == "- Model 'Rotation' VS 'Macro'"
    assert first.test.p_value < first.adjusted_p_value < 0.001
    begin = f"statistic={first.test.statistic:.3f}, p-value<0.001 (chi-square; Holm-adjusted p-value<0.001)"
    assert lines[1].strip() == begin
    again = comparison.pairs[3]
    assert f"p-value={again.test.p_value:.3f} ({again.test.kind}" in comparison.text()
    assert lines[3].strip() == "Different proportions of errors (reject H0)"
    same = lines.index("- Model 'Macro' VS 'Macro again'")
    assert lines[same + 3].strip() == "Same proportions of errors (fail to reject H0)"

    stored = json.loads(json.dumps(comparison.to_dict()))
    assert len(stored["pairs"]) == 6
    kept = stored["pairs"][0]
    total = sum(kept[key] for key in ("both_right", "only_first_right", "only_second_right", "both_wrong"))
    assert total == 400

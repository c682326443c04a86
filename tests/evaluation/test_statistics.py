"""Intervals, correlation and hyper-volume against independent computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, pearsonr, permutation_test, spearmanr
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from gat_lightning.evaluation.statistics import (
    Correlation,
    bootstrap_interval,
    fisher_interval,
    hypervolume,
    mean_std,
    pearson,
    spearman,
    wilson_interval,
)


@given(n=st.integers(1, 10_000), share=st.floats(0, 1), confidence=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_wilson_equals_statsmodels_and_scipy(n: int, share: float, confidence: float) -> None:
    successes = round(share * n)
    interval = wilson_interval(successes, n, confidence)
    assert interval == pytest.approx(proportion_confint(successes, n, 1 - confidence, "wilson"), abs=1e-12)
    scipy = binomtest(successes, n).proportion_ci(confidence, "wilson")
    assert interval == pytest.approx((scipy.low, scipy.high), abs=1e-12)
    assert 0 <= interval.low <= successes / n <= interval.high <= 1
    assert interval.low < interval.high


@pytest.mark.parametrize(("successes", "n", "confidence"), [(1, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 95)])
def test_wilson_refuses(successes: int, n: int, confidence: float) -> None:
    with pytest.raises(ValueError, match=r"n >= 1|confidence"):
        wilson_interval(successes, n, confidence)


def test_bootstrap_of_a_mean_is_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(np.mean, values, resamples=1000)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.012)
    assert (low, high) == bootstrap_interval(np.mean, values, resamples=1000)
    assert (low, high) != bootstrap_interval(np.mean, values, resamples=1000, seed=1)
    wide = bootstrap_interval(np.mean, values, resamples=1000, confidence=0.99)
    assert wide.low < low < high < wide.high


def test_strata_keep_every_class_in_every_resample() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(60) < 2
    scores = generator.normal(size=60) + labels
    seen = []

    def statistic(labels: np.ndarray, scores: np.ndarray) -> float:
        seen.append(labels.sum())
        return float(roc_auc_score(labels, scores))

    low, high = bootstrap_interval(statistic, labels, scores, strata=labels, resamples=50)
    assert set(seen) == {2}
    assert 0 <= low <= roc_auc_score(labels, scores) <= high <= 1


def test_bootstrap_rows_stay_together_and_undefined_statistics_are_refused() -> None:
    values = np.arange(20)
    assert bootstrap_interval(lambda a, b: float((a != b).sum()), values, values, resamples=20) == (0, 0)
    with pytest.raises(ValueError, match="strata"):
        bootstrap_interval(lambda a: float("nan"), values, resamples=2)
    for arrays, strata in (((), None), (([1], [1, 2]), None), (([1, 2],), [0])):
        with pytest.raises(ValueError, match="one length"):
            bootstrap_interval(lambda *_: 0.0, *arrays, strata=strata)


@pytest.mark.slow
def test_bootstrap_interval_covers_the_true_auroc() -> None:
    """Scores of two normals one apart have AUROC Φ(1/√2); 95 % intervals should hold it about 95 times in 100."""
    truth = 0.5 * (1 + math.erf(0.5))
    covered = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        labels = np.arange(120) % 3 == 0
        interval = bootstrap_interval(
            lambda y, s: float((s[y][:, None] > s[~y]).mean()),
            labels,
            generator.normal(size=120) + labels,
            strata=labels,
            resamples=400,
        )
        covered += interval.low <= truth <= interval.high
    assert 86 <= covered <= 100


def test_mean_and_standard_deviation_over_seeds() -> None:
    result = mean_std([48.0, 50.0, 49.0])
    assert result == pytest.approx((49.0, 1.0, 3))
    assert result.text() == "49.00 ± 1.00"
    single = mean_std([48.0])
    assert single.mean == 48.0
    assert math.isnan(single.std)
    assert single.text(1) == "48.0"
    with pytest.raises(ValueError, match="at least one"):
        mean_std([])


@given(st.integers(3, 30), st.integers(0, 2**31))
def test_pearson_equals_a_regression_t_test(n: int, seed: int) -> None:
    """r from its definition, p from Student's t with n - 2 degrees of freedom by numerical integration."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=n)
    y = x * generator.normal() + generator.normal(size=n)
    result = pearson(x, y)
    a, b = x - x.mean(), y - y.mean()
    r = a @ b / math.sqrt((a @ a) * (b @ b))
    assert result.r == pytest.approx(r)
    assert result.p_value == pytest.approx(_student_tail(abs(r), n), abs=1e-3)
    assert result.n == n


def _student_tail(r: float, n: int) -> float:
    """P(|R| >= r) under independence: the density of r is proportional to (1 - r²)^((n - 4) / 2); r = sin θ."""
    theta = np.linspace(-math.pi / 2, math.pi / 2, 40_001)
    density = np.cos(theta) ** (n - 3)
    return float(density[np.abs(np.sin(theta)) >= r].sum() / density.sum())


def test_pearson_of_constants_and_bad_input() -> None:
    for constant in ([1, 1, 1], [0.3, 0.1 + 0.2, 0.3]):
        result = pearson(constant, [1, 2, 3])
        assert math.isnan(result.r)
        assert math.isnan(result.p_value)
    for first, second in (([1, 2], [1, 2]), ([1, 2, 3], [1, 2]), ([1, 2, np.nan], [1, 2, 3])):
        with pytest.raises(ValueError, match=r"at least 3|finite"):
            pearson(first, second)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=8, max_size=30))
def test_spearman_equals_scipys(points: list[tuple[int, int]]) -> None:
    x, y = zip(*points, strict=True)
    result = spearman(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(result.r)
    else:
        assert (result.r, result.p_value) == pytest.approx(tuple(spearmanr(x, y)), abs=1e-9)


@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=6))
def test_spearman_of_few_points_is_exact(points: list[tuple[int, int]]) -> None:
    x, y = (np.array(values) for values in zip(*points, strict=True))
    result = spearman(x, y)
    if len(set(x)) > 1 and len(set(y)) > 1:
        exact = permutation_test(
            (x,), lambda shuffled: abs(spearmanr(shuffled, y).statistic), permutation_type="pairings",
            alternative="greater", n_resamples=math.factorial(len(x)), vectorized=False,
        )  # fmt: skip
        assert result.p_value == pytest.approx(exact.pvalue)
        assert result.p_value >= 1 / math.factorial(len(x))


@given(st.integers(4, 60), st.integers(0, 2**31))
def test_the_interval_of_a_correlation_equals_scipys(n: int, seed: int) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, n))
    found = pearson(x, y)
    reference = pearsonr(x, y).confidence_interval(0.9)
    assert fisher_interval(found, confidence=0.9) == pytest.approx((reference.low, reference.high))
    wide = fisher_interval(found, of_ranks=True, confidence=0.9)
    assert wide.low <= reference.low <= found.r <= reference.high <= wide.high


def test_intervals_at_the_ends() -> None:
    assert fisher_interval(Correlation(0.5, 0.6, 3)) == (-1, 1)
    assert fisher_interval(Correlation(-1.0, 0.0, 9)) == (-1, -1)
    assert all(math.isnan(end) for end in fisher_interval(Correlation(math.nan, math.nan, 9)))


@settings(max_examples=20)
@given(st.integers(1, 8), st.integers(0, 2**31))
def test_hypervolume_equals_monte_carlo(n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    front = generator.random((n, 2))
    samples = generator.random((20_000, 2))
    dominated = (front[:, None] <= samples[None]).all(2).any(0).mean()
    result = hypervolume(front)
    assert result.dominated == pytest.approx(dominated, abs=0.02)
    assert result.dominated + result.complement == 1


def test_hypervolume_of_known_fronts() -> None:
    assert hypervolume([[0, 0]]).dominated == 1
    assert hypervolume([[1, 1]]).dominated == 0
    assert hypervolume([[0.2, 0.5]]).dominated == pytest.approx(0.4)
    front = [[0.2, 0.5], [0.4, 0.3]]
    assert hypervolume(front).dominated == pytest.approx(0.4 + 0.6 * 0.2)
    assert hypervolume([*front, [0.5, 0.6]]) == hypervolume(front)
    for points in ([], [[0.1, 0.2, 0.3]], [[20, 50]], [[0.1, float("nan")]]):
        with pytest.raises(ValueError, match=r"fractions in \[0, 1\]"):
            hypervolume(points)

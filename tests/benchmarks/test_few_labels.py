"""The differences between the arms of the studies of few labels."""

import numpy as np
import pytest
from benchmarks.few_labels import Arm, difference, pairs
from scipy import stats

SEEDS, IMAGES = 5, 60


def outcomes(share: float, key: int) -> dict[int, np.ndarray]:
    draws = np.random.default_rng(key).random((SEEDS, IMAGES))
    return {seed: draws[seed] < share for seed in range(SEEDS)}


def test_the_mean_and_its_interval_over_seeds_are_those_of_the_paired_t_test() -> None:
    first, second = outcomes(0.8, 1), outcomes(0.6, 2)
    found = difference(first, second)
    accuracies = [[100 * right.mean() for right in each.values()] for each in (first, second)]
    interval = stats.ttest_rel(*accuracies).confidence_interval(0.95)
    assert found["mean"] == pytest.approx(np.mean(accuracies[0]) - np.mean(accuracies[1]))
    assert found["seeds"] == pytest.approx([interval.low, interval.high])


def test_only_seeds_that_both_arms_have_are_compared() -> None:
    first, second = outcomes(0.8, 1), outcomes(0.6, 2)
    fewer = {seed: first[seed] for seed in (4, 2, 0)}
    assert difference(fewer, second) == difference(fewer, {seed: second[seed] for seed in (0, 2, 4)})


def test_the_bootstrap_is_over_seeds_and_images() -> None:
    """Its variance is that of both kinds of draws, where they are independent and additive."""
    everything = {seed: np.ones(IMAGES, bool) for seed in range(SEEDS)}
    of_images = {seed: np.arange(IMAGES) < 15 for seed in range(SEEDS)}
    low, high = difference(everything, of_images)["seeds_and_images"]
    spread = 100 * np.sqrt(0.75 * 0.25 / IMAGES)
    assert (high - low) / (2 * 1.96) == pytest.approx(spread, rel=0.1)
    of_seeds = {seed: np.full(IMAGES, seed < 2) for seed in range(SEEDS)}
    low, high = difference(everything, of_seeds)["seeds_and_images"]
    assert [low, high] == pytest.approx(np.array(stats.binom.interval(0.95, SEEDS, 0.6)) * 100 / SEEDS)


def test_modes_are_compared_with_baselines_and_with_one_another_and_tasks_with_none() -> None:
    few = {name: Arm(name, 10, "none", "equal", "best") for name in ("adversarial", "trades", "both", "consistency")}
    everything, tasks = few["adversarial"]._replace(labels=144), few["both"]._replace(task="macro")
    other = few["trades"]._replace(checkpoint="last")
    found = set(pairs({arm: {} for arm in (*few.values(), everything, tasks, other)}))
    assert found == {
        (few["both"], few["adversarial"]),
        (few["both"], few["trades"]),
        (few["both"], few["consistency"]),
        (few["both"], everything),
        (few["consistency"], few["adversarial"]),
        (few["consistency"], few["trades"]),
        (few["consistency"], everything),
        (tasks, few["both"]),
    }

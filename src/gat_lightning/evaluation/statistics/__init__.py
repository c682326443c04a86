"""Statistics of evaluations: intervals, tests, correlations and the hyper-volume of fronts."""

from gat_lightning.evaluation.statistics.comparison import Comparison, Pair, compare, compare_pairs
from gat_lightning.evaluation.statistics.correlation import Correlation, fisher_interval, pearson, spearman
from gat_lightning.evaluation.statistics.hypervolume import HyperVolume, hypervolume
from gat_lightning.evaluation.statistics.intervals import (
    Interval,
    MeanStd,
    accuracy_interval,
    bootstrap_interval,
    mean_std,
    wilson_interval,
)
from gat_lightning.evaluation.statistics.mcnemar import McNemar, holm, mcnemar

__all__ = [
    "Comparison",
    "Correlation",
    "HyperVolume",
    "Interval",
    "McNemar",
    "MeanStd",
    "Pair",
    "accuracy_interval",
    "bootstrap_interval",
    "compare",
    "compare_pairs",
    "fisher_interval",
    "holm",
    "hypervolume",
    "mcnemar",
    "mean_std",
    "pearson",
    "spearman",
    "wilson_interval",
]

"""Pairwise comparison of evaluations, in the format of the paper's appendix C.1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from gat_lightning.evaluation.statistics.mcnemar import McNemar, holm, mcnemar
from gat_lightning.validate import check_real

Named = tuple[str, ArrayLike]
"""An evaluation's name, and whether it has each image right."""


class NamedPair(NamedTuple):
    """Two evaluations of the same images.

    Attributes:
        first: the first evaluation.
        second: the second one.
        groups: patient of each image; None if each stands for itself.
    """

    first: Named
    second: Named
    groups: ArrayLike | None = None


@dataclass(frozen=True)
class Pair:
    """McNemar's test of one pair of evaluations.

    Attributes:
        first: name of the first evaluation.
        second: name of the second evaluation.
        test: result of the test.
        adjusted_p_value: p-value with Holm's correction over all compared pairs.
        reject: whether the proportions of errors differ at the comparison's level.
    """

    first: str
    second: str
    test: McNemar
    adjusted_p_value: float
    reject: bool


@dataclass(frozen=True)
class Comparison:
    """Result of :func:`compare`.

    Attributes:
        pairs: all pairs, in the order of the evaluations.
        level: family-wise error rate over the pairs.
    """

    pairs: tuple[Pair, ...]
    level: float

    def text(self) -> str:
        """The list of the paper's appendix C.1, with the kind of test, Holm's p-value and the contingency table."""
        lines = []
        for pair in self.pairs:
            test = pair.test
            over = "" if test.patients is None else f" over {test.patients:,} patients"
            verdict = "Different proportions of errors (reject H0)"
            lines += [
                f"- Model '{pair.first}' VS '{pair.second}'",
                f"  statistic={test.statistic:.3f}, p-value{_p(test.p_value)}"
                f" ({test.kind}{over}; Holm-adjusted p-value{_p(pair.adjusted_p_value)})",
                f"  both right {test.both_right}, only '{pair.first}' {test.only_first_right},"
                f" only '{pair.second}' {test.only_second_right}, both wrong {test.both_wrong}",
                f"  {verdict if pair.reject else 'Same proportions of errors (fail to reject H0)'}",
            ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain types, for JSON, including contingency tables."""
        return {
            "level": self.level,
            "pairs": [
                {
                    "first": pair.first,
                    "second": pair.second,
                    **pair.test.to_dict(),
                    "adjusted_p_value": pair.adjusted_p_value,
                    "reject": pair.reject,
                }
                for pair in self.pairs
            ],
        }


def compare(evaluations: Mapping[str, ArrayLike], level: float = 0.05, groups: ArrayLike | None = None) -> Comparison:
    """McNemar's test of every pair of evaluations, with Holm's correction over the pairs (paper, appendix C.1).

    The paper does not correct for the number of pairs; the uncorrected p-value is reported next to the adjusted one.

    Args:
        evaluations: masks of correctly classified images, bool ``[n]``, by name; the same images in all.
        level: family-wise error rate, in (0, 1).
        groups: patient of each image, ``[n]``, see :func:`~gat_lightning.evaluation.statistics.mcnemar.mcnemar`; None
            if each image stands for itself.

    Raises:
        ValueError: there are fewer than two evaluations, the numbers of images differ, or the level is out of range.
    """
    if len(evaluations) < 2:
        raise ValueError(f"A comparison needs at least two evaluations, got {len(evaluations)}.")
    names = combinations(evaluations, 2)
    return compare_pairs([NamedPair((a, evaluations[a]), (b, evaluations[b]), groups) for a, b in names], level)


def compare_pairs(pairs: Sequence[NamedPair], level: float = 0.05) -> Comparison:
    """The same for given pairs of evaluations; the images may differ between pairs.

    Args:
        pairs: two evaluations each, as in :func:`compare`, with their names; may be empty.
        level: family-wise error rate, in (0, 1).

    Raises:
        ValueError: the evaluations of a pair have different numbers of images, or the level is out of range.
    """
    check_real("level", level, 0, 1, closed="neither", example=0.05)
    tests = [mcnemar(first, second, groups) for (_, first), (_, second), groups in pairs]
    adjusted = holm([test.p_value for test in tests])
    found = (
        Pair(first, second, test, p_value, p_value <= level)
        for ((first, _), (second, _), _), test, p_value in zip(pairs, tests, adjusted, strict=True)
    )
    return Comparison(tuple(found), level)


def _p(value: float) -> str:
    return f"={value:.3f}" if value >= 0.001 else "<0.001"

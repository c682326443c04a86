"""Significance of differences from a baseline, image by image."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gat_lightning.errors import UserError
from gat_lightning.evaluation.paired import load_correct
from gat_lightning.evaluation.statistics import Pair, compare_pairs
from gat_lightning.evaluation.statistics.comparison import NamedPair
from gat_lightning.evaluation.threat import Threat
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.records import Record
from gat_lightning.reporting.words import counted, p_words, view_words
from gat_lightning.runs.metric_names import WORST

LEVEL = 0.05
_OTHERWISE_EVALUATED = "evaluated with other attacks than the baseline, or on another number of images"


@dataclass(frozen=True)
class Tested:
    """McNemar's test of one run against the baseline's run of the same seed.

    Attributes:
        setting: label of the run's setting.
        seed: of both runs.
        under: attacks, and number of images.
        pair: the test.
    """

    setting: str
    seed: int
    under: str
    pair: Pair


@dataclass(frozen=True)
class Against:
    """McNemar's tests against a baseline, with Holm's correction over all of them.

    Attributes:
        baseline: label of the baseline.
        tests: the tests.
        left_out: what was not compared, and why.
    """

    baseline: str
    tests: list[Tested] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers of the table."""
        return ("setting", "seed", "only it right", "only baseline right", "Holm's p", *(["under"] * self._differ))

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """A row for each test."""
        return [
            (
                each.setting,
                str(each.seed),
                str(each.pair.test.only_first_right),
                str(each.pair.test.only_second_right),
                p_words(each.pair.adjusted_p_value),
                *([each.under] * self._differ),
            )
            for each in self.tests
        ]

    @property
    def introduction(self) -> str:
        """What was tested."""
        if not self.tests and self.left_out:
            return "No setting could be compared with the baseline."
        if not self.tests:
            return "No setting was evaluated with the baseline's seeds (python -m gat_lightning.evaluate)."
        under = "" if self._differ else f" under {self.tests[0].under}"
        return (
            f"McNemar's test of which images are classified correctly{under}, seed by seed: the number of images that"
            f" only the setting, or only the baseline ({self.baseline}), has right. Holm's correction covers"
            f" {counted(len(self.tests), 'test')}; a difference is significant where p is at most {LEVEL:g}."
        )

    @property
    def _differ(self) -> bool:
        return len({each.under for each in self.tests}) > 1


def against(groups: Sequence[Group], baseline: Group, checkpoint: str) -> Against:
    """McNemar's test of every setting against the baseline under the worst attack, seed by seed.

    Only evaluations on the same data with the same attacks are compared; of several such pairs, the one with the most
    attacks.
    """
    pairs: list[NamedPair] = []
    about: list[tuple[str, int, str]] = []
    left_out = []
    for each in (each for each in groups if each is not baseline):
        for seed in each.seeds:
            found = [_evaluations(part, seed, checkpoint) for part in (each, baseline)]
            chosen = _alike(*found)
            if chosen is None:
                if all(found):
                    left_out.append(f"{each.label}, seed {seed}: {_OTHERWISE_EVALUATED}.")
                continue
            try:
                correct, patients = load_correct({str(n): str(r.directory) for n, r in enumerate(chosen)}, WORST)
            except UserError as error:
                left_out.append(f"{each.label}, seed {seed}: {error}")
                continue
            pairs.append(NamedPair((each.label, correct["0"]), (baseline.label, correct["1"]), patients))
            about.append((each.label, seed, f"{_attacks(chosen[0])}, over {_number(len(correct['0']), patients)}"))
    tests = compare_pairs(pairs, LEVEL).pairs
    return Against(baseline.label, [Tested(*which, pair) for which, pair in zip(about, tests, strict=True)], left_out)


def _number(images: int, patients: NDArray[np.int64] | None) -> str:
    of = "" if patients is None else f" of {len(np.unique(patients)):,} patients"
    return f"{images:,} test images{of}"


def _attacks(record: Record) -> str:
    """Such as ``the worst of PGD-20 (Linf 0.15) and Square (Linf 0.15)``."""
    threats = {name: Threat.of_evaluation(record.result.config, name) for name in record.attacks(WORST)}
    names = [
        view_words(name) if threat is None else f"{view_words(name)} ({threat})" for name, threat in threats.items()
    ]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return listed if len(names) == 1 else f"the worst of {listed}"


def _evaluations(each: Group, seed: int, checkpoint: str) -> list[Record]:
    return [record for record in each.evaluations if record.seed == seed and record.metrics(checkpoint)]


def _alike(first: Sequence[Record], second: Sequence[Record]) -> tuple[Record, Record] | None:
    """Evaluations of two models with the same attacks and images; those with the most of both."""
    pairs = [(one, other) for one in first for other in second if _faced(one) == _faced(other)]
    return max(pairs, key=lambda pair: (len(_faced(pair[0])[0]), pair[0].images or 0), default=None)


def _faced(record: Record) -> tuple[dict[str, dict[str, Any]], tuple[int | None, str]]:
    return record.attacks(WORST), record.tested

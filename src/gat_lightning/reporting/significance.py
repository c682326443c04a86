"""Significance of differences from a baseline, image by image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gat_lightning.errors import UserError
from gat_lightning.evaluation.paired import load_correct
from gat_lightning.evaluation.statistics import compare_pairs
from gat_lightning.evaluation.statistics.comparison import NamedPair
from gat_lightning.evaluation.threat import Threat
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.records import Record
from gat_lightning.runs.metric_names import WORST

_OTHERWISE_EVALUATED = "evaluated with other attacks than the baseline, or on another number of images"


def against(groups: Sequence[Group], baseline: Group, checkpoint: str) -> str:
    """McNemar's test of every setting against the baseline under the worst attack, seed by seed.

    Holm's correction covers all tests. Only evaluations on the same data with the same attacks are compared; of several
    such pairs, the one with the most attacks. The result names the attacks and the number of images.
    """
    pairs: list[NamedPair] = []
    about: dict[str, str] = {}
    left_out = []
    for each in (each for each in groups if each.conditions.data == baseline.conditions.data):
        for seed in each.seeds if each is not baseline else ():
            names = [f"{part.label}, seed {seed}" for part in (each, baseline)]
            found = [_evaluations(part, seed, checkpoint) for part in (each, baseline)]
            chosen = _alike(*found)
            if chosen is None:
                if all(found):
                    left_out.append(f"- {names[0]}: {_OTHERWISE_EVALUATED}.")
                continue
            runs = {name: str(record.directory) for name, record in zip(names, chosen, strict=True)}
            try:
                correct, patients = load_correct(runs, WORST)
                pairs.append(NamedPair((names[0], correct[names[0]]), (names[1], correct[names[1]]), patients))
                about[names[0]] = f"{_attacks(chosen[0])}, over {_number(len(correct[names[0]]), patients)}"
            except UserError as error:
                left_out.append(f"- {names[0]}: {error}")
    lines = [_introduction(about), compare_pairs(pairs).text()] if pairs else []
    lines += ["Not compared:", *left_out] if left_out else []
    return "\n".join(lines) or "No setting was evaluated with the baseline's seeds (python -m gat_lightning.evaluate)."


def _number(images: int, patients: NDArray[np.int64] | None) -> str:
    of = "" if patients is None else f" of {len(np.unique(patients)):,} patients"
    return f"{images:,} test images{of}"


def _introduction(about: Mapping[str, str]) -> str:
    start = "McNemar's test of which images are classified rightly"
    if len(set(about.values())) == 1:
        return f"{start} under {next(iter(about.values()))}:\n"
    return "\n".join([f"{start}:", *(f"- {name}: under {text}" for name, text in about.items()), ""])


def _attacks(record: Record) -> str:
    """Such as ``the worst of pgd20 (Linf 0.15) and square (Linf 0.15)``."""
    threats = {name: Threat.of_evaluation(record.result.config, name) for name in record.attacks(WORST)}
    names = [name if threat is None else f"{name} ({threat})" for name, threat in threats.items()]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return listed if len(names) == 1 else f"the worst of {listed} (view {WORST})"


def _evaluations(each: Group, seed: int, checkpoint: str) -> list[Record]:
    return [r for r in each.records if r.is_evaluation and r.seed == seed and r.metrics(checkpoint)]


def _alike(first: Sequence[Record], second: Sequence[Record]) -> tuple[Record, Record] | None:
    """Evaluations of two models with the same attacks and number of images; those with the most of both."""
    pairs = [(one, other) for one in first for other in second if _faced(one) == _faced(other)]
    return max(pairs, key=lambda pair: (len(_faced(pair[0])[0]), pair[0].images or 0), default=None)


def _faced(record: Record) -> tuple[dict[str, dict[str, Any]], int | None]:
    return record.attacks(WORST), record.images

"""Whether settings differ from a baseline by more than chance, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gat_lightning.compare import load_correct
from gat_lightning.errors import UserError
from gat_lightning.evaluation.robustness import WORST
from gat_lightning.evaluation.statistics import compare_pairs
from gat_lightning.evaluation.statistics.comparison import Named
from gat_lightning.evaluation.threat import attacks_behind
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.records import Record


def against(groups: Sequence[Group], baseline: Group, checkpoint: str) -> str:
    """McNemar's test of every setting with the baseline under the worst of the attacks, seed by seed.

    Holm's correction is over all of the tests. Only evaluations with the same attacks are compared; of several such
    pairs those with the most attacks.
    """
    pairs: list[tuple[Named, Named]] = []
    left_out = []
    for each in groups:
        for seed in each.seeds if each is not baseline else ():
            names = [f"{part.label}, seed {seed}" for part in (each, baseline)]
            found = [_evaluations(part, seed, checkpoint) for part in (each, baseline)]
            chosen = _alike(*found)
            if chosen is None:
                left_out += [f"- {names[0]}: evaluated with other attacks than the baseline."] if all(found) else []
                continue
            runs = {name: str(record.directory) for name, record in zip(names, chosen, strict=True)}
            try:
                correct = load_correct(runs, WORST)
                pairs.append(((names[0], correct[names[0]]), (names[1], correct[names[1]])))
            except UserError as error:
                left_out.append(f"- {names[0]}: {error}")
    lines = [compare_pairs(pairs).text()] if pairs else []
    lines += ["Not compared:", *left_out] if left_out else []
    return "\n".join(lines) or "No setting was evaluated with the baseline's seeds (python -m gat_lightning.evaluate)."


def _evaluations(each: Group, seed: int, checkpoint: str) -> list[Record]:
    return [r for r in each.records if r.is_evaluation and r.seed == seed and r.metrics(checkpoint)]


def _alike(first: Sequence[Record], second: Sequence[Record]) -> tuple[Record, Record] | None:
    """The evaluations of two models that have the same attacks and as many images, by the most attacks and images."""
    pairs = [(one, other) for one in first for other in second if _faced(one) == _faced(other)]
    return max(pairs, key=lambda pair: (len(_faced(pair[0])[0]), pair[0].result["images"]), default=None)


def _faced(record: Record) -> tuple[dict[str, dict[str, Any]], int | None]:
    return attacks_behind(record.result["config"], WORST), record.images

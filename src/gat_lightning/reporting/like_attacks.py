"""Attacks of one name that are not alike, which a table must not put into one column."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gat_lightning.reporting.records import Record
from gat_lightning.runs.metric_names import WORST

_UNSET = "unset"


def renamed(records: Sequence[Record]) -> list[Record]:
    """The runs, in their order, with a name of its own for every attack.

    Of attacks that have one name and threat model, those of most runs keep the name (or, of as many, those of
    trainings), and the others say in what they differ: ``pgd20 restarts=5``. If the worst case is not always over the
    same attacks, it names them.
    """
    names: list[dict[str, str]] = [{} for _ in records]
    for view, attacks in _variants(records).items():
        kinds = Counter(attacks.values())
        if len(kinds) > 1:
            tested = {kind for (number, _), kind in attacks.items() if not records[number].is_evaluation}
            usual = json.loads(max(sorted(kinds), key=lambda kind: (kinds[kind], kind in tested)))
            for (number, recorded), kind in attacks.items():
                names[number][recorded] = _name(view, json.loads(kind), usual)
    return [replace(record, renamed=own) if own else record for record, own in zip(records, names, strict=True)]


def strongest_alone(record: Record, view: str) -> bool:
    """Whether a recorded view is the worst case over a single attack, which has a view of its own."""
    return view == WORST and len(json.loads(record.faced.get(WORST, "{}"))) == 1


def _variants(records: Sequence[Record]) -> dict[str, dict[tuple[int, str], str]]:
    """The attacks of each view in JSON, by the number of the run and the view's name there."""
    found: dict[str, dict[tuple[int, str], str]] = {}
    for number, record in enumerate(records):
        for view, attacks in record.faced.items():
            found.setdefault(record.shown(view), {})[number, view] = attacks
    return found


def _name(view: str, attacks: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    if view.partition(" ")[0] == WORST:
        differences = [_words(attacks[name], usual[name]) for name in attacks if name in usual]
        more = "" if attacks.keys() != usual.keys() else " ".join(filter(None, ["", *differences]))
        return f"{WORST} of {', '.join(attacks)}{more}"
    (one,), (other,) = attacks.values(), usual.values()
    return " ".join(filter(None, [view, _words(one, other)]))


def _words(attack: Mapping[str, Any], usual: Mapping[str, Any]) -> str:
    """The settings of an attack that are not the usual ones."""
    own, others = dict(_flat(attack)), dict(_flat(usual))
    words = [_word(key, value) for key, value in own.items() if others.get(key, _UNSET) != value]
    return " ".join([*words, *(f"{key}={_UNSET}" for key in others if key not in own)])


def _word(key: str, value: Any) -> str:
    return str(value).rpartition(".")[2] if key.endswith("_target_") else f"{key}={value}"


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value

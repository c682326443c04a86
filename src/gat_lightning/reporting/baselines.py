"""The baseline of a table: the setting that the others are compared with."""

import shlex
from collections.abc import Mapping, Sequence

from gat_lightning.errors import UserError
from gat_lightning.reporting.conditions import Conditions
from gat_lightning.reporting.groups import Group


def find_baselines(tables: Mapping[Conditions, Sequence[Group]], wanted: str | None) -> dict[Conditions, Group]:
    """The baseline of each table that has one: the setting of that label, or the one that has all of its options.

    Args:
        tables: settings by their conditions.
        wanted: a label, or options such as ``task=none weighting=equal``; None: no baseline.

    Raises:
        UserError: no setting fits, or several settings of one table do.
    """
    if wanted is None:
        return {}
    found = {conditions: _fitting(groups, wanted) for conditions, groups in tables.items()}
    if not any(found.values()):
        labels = dict.fromkeys(each.label for groups in tables.values() for each in groups)
        raise UserError(f"baseline={wanted}: no setting fits; there are: {'; '.join(labels)}.")
    for fitting in found.values():
        if len(fitting) > 1:
            raise UserError(
                f"baseline={wanted}: several settings fit: {'; '.join(each.label for each in fitting)}. Write the whole"
                f" name of one, such as baseline={shlex.quote(fitting[0].label)}."
            )
    return {conditions: fitting[0] for conditions, fitting in found.items() if fitting}


def _fitting(groups: Sequence[Group], wanted: str) -> list[Group]:
    named = [each for each in groups if each.label == wanted]
    words = set(wanted.split())
    return named or [each for each in groups if words <= _words(each)]


def _words(each: Group) -> set[str]:
    """The options of a setting, and what was typed for it."""
    typed = next((record.overrides for record in each.records if record.overrides is not None), ())
    return {*each.label.split(), *typed, *(f"{name}={value}" for name, value in (each.options | each.words).items())}

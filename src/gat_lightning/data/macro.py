"""Macro classes: a coarser label derived from the class, for the auxiliary task `macro`."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gat_lightning.batch import MISSING
from gat_lightning.errors import UserError
from gat_lightning.nearest import did_you_mean, nearest


def _class_index(member: int | str, classes: Sequence[str], macro: str) -> int:
    if isinstance(member, int) and not isinstance(member, bool):
        if 0 <= member < len(classes):
            return member
        raise UserError(f"data.macro.{macro}: class {member} does not exist, the classes are 0 to {len(classes) - 1}")
    if member in classes:
        return classes.index(str(member))
    guess = did_you_mean(nearest(member, classes))
    raise UserError(f"data.macro.{macro}: no class is named {member!r}, only {', '.join(classes)}{guess}")


def macro_of_class(macro: Mapping[str, Sequence[int | str]], classes: Sequence[str]) -> Tensor:
    """Map every class to its macro class.

    Args:
        macro: ``{macro class: [class indices or names]}``; together they hold every class exactly once.
        classes: class names in the order of their indices.

    Returns:
        Index of each class's macro class, long ``[len(classes)]``.

    Raises:
        UserError: a class is unknown, in no macro class or in several, or there are fewer than two macro classes.
    """
    if not isinstance(macro, Mapping) or len(macro) < 2:
        raise UserError(f"data.macro={macro!r}: it must be null or at least two macro classes, {{name: [classes]}}")
    owner: dict[int, str] = {}
    for name, members in macro.items():
        if isinstance(members, str) or not isinstance(members, Sequence) or not members:
            raise UserError(f"data.macro.{name}={members!r}: it must be a list of class indices or names")
        for member in members:
            index = _class_index(member, classes, name)
            if index in owner:
                raise UserError(
                    f"data.macro: class {classes[index]!r} (index {index}) is in both {owner[index]!r} and {name!r};"
                    " put it in one of them only"
                )
            owner[index] = name
    for index, cls in enumerate(classes):
        if index not in owner:
            raise UserError(
                f"data.macro: class {cls!r} (index {index}) is in no macro class; add it to one of {', '.join(macro)}"
            )
    names = list(macro)
    return torch.tensor([names.index(owner[index]) for index in range(len(classes))])


def macro_label(label: Tensor, table: Tensor) -> Tensor:
    """Macro label ``[N]`` of class labels ``[N]``, by :func:`macro_of_class`'s table; a missing one stays missing."""
    return torch.where(label == MISSING, MISSING, table[label.clamp_min(0)])

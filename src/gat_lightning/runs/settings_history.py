"""What has become of settings since the first runs, so that a newer version finds the earlier runs that mean the same.

Names are dotted paths from the top of the configuration, in which ``*`` stands for any one key or position in a list:
``curvature.every``, ``test.also.*.attack.restarts``. A name may also be that of a ``_target_``, wherever it is in the
configuration (``gat_lightning.data.CheXpert``), or of a setting beside it (``gat_lightning.attacks.PGD.restarts``).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from typing import Any, NamedTuple, TypeAlias


@dataclass(frozen=True)
class Introduced:
    """A setting that earlier versions did not have.

    Attributes:
        name: of the setting, or of a whole new node.
        as_before: the value, or the whole node, with which a run is what it was in earlier versions.
    """

    name: str
    as_before: Any

    def undo(self, settings: dict[str, Any]) -> None:
        """Leave the setting out wherever it has that value."""
        for place in reversed(_places(settings, self.name)):
            if _is_one_of(place.value, [self.as_before]):
                del place.parent[place.path[-1]]


@dataclass(frozen=True)
class Renamed:
    """A setting or a ``_target_`` that had another name in earlier versions.

    Attributes:
        name: its name now.
        was: its name then. It begins with the same ``_target_`` if ``name`` is that of a setting beside one, and has as
            many ``*``, which stand for the same keys.
    """

    name: str
    was: str

    def undo(self, settings: dict[str, Any]) -> None:
        """Give the setting its earlier name, in the node where it was then."""
        for place in _places(settings, self.name):
            if place.target == self.name:
                place.base["_target_"] = self.was
                continue
            names, earlier = (name.removeprefix(f"{place.target}.").split(".") for name in (self.name, self.was))
            keys = (key for key, part in zip(place.path, names, strict=True) if part == "*")
            *outer, last = (next(keys) if part == "*" else part for part in earlier)
            value = place.parent.pop(place.path[-1])
            node: Any = place.base
            for key in outer:
                node = node.setdefault(key, {}) if isinstance(node, dict) else node[key]
            node[last] = value


@dataclass(frozen=True)
class Reshaped:
    """A setting, or a node of settings, that had another form in earlier versions.

    Attributes:
        name: of the setting or the node.
        to_earlier: returns the earlier form of a value, which is left alone if it has that form already (both are plain
            types).
    """

    name: str
    to_earlier: Callable[[Any], Any]

    def undo(self, settings: dict[str, Any]) -> None:
        """Give the setting its earlier form."""
        for place in _places(settings, self.name):
            place.parent[place.path[-1]] = self.to_earlier(place.value)


@dataclass(frozen=True)
class Redefined:
    """A setting or a ``_target_`` that means something else than in earlier versions.

    Each such entry adds 1 to the setting's number, which is part of the hash.

    Attributes:
        name: of the setting or the ``_target_``.
        unaffected: values of the setting that still mean what they did.
    """

    name: str
    unaffected: tuple[Any, ...] = ()

    def applies(self, settings: dict[str, Any]) -> bool:
        """Whether a configuration has the setting at a value that means something else now."""
        return any(not _is_one_of(place.value, self.unaffected) for place in _places(settings, self.name))


HISTORY: tuple[Introduced | Renamed | Reshaped | Redefined, ...] = (
    Redefined("gat_lightning.training.schedules.cosine"),
    Redefined("gat_lightning.training.schedules.cyclic"),
    *(Introduced(f"gat_lightning.attacks.{name}.loss", None) for name in ("FGSM", "BIM", "MIM", "PGD")),
    *(Introduced(f"gat_lightning.methods.{name}.loss", None) for name in ("FGSMTraining", "Fast", "Mart", "Friendly")),
    Introduced("attack.loss", None),
    *(
        Redefined(f"{node}.attack.restarts", unaffected=(1,))
        for node in ("validation", "test", "test.also.*", "evaluation.*", "curve")
    ),

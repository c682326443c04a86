"""Conditions under which the figures of runs are comparable: data set, target and threat model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gat_lightning.evaluation.threat import Threat

_NAMED_BY_THEIR_FILES = {"Arrays": "path", "Images": "root"}
_USUAL_TARGET = "class"


@dataclass(frozen=True)
class Conditions:
    """Data set with its target, and the threat model of the test.

    Attributes:
        data: name of the data set, such as ``Digits``, ``CheXpert edema`` or ``Images pictures/pets``; empty if
            unknown.
        threat: threat model; None if unknown.
    """

    data: str
    threat: Threat | None

    def __str__(self) -> str:
        threat = [] if self.threat is None else [str(self.threat)]
        return ", ".join([self.data or "unknown data", *threat])


def data_name(data: Mapping[str, Any], usual: Mapping[str, Any] | None = None) -> str:
    """Name of the data set that settings of ``data`` select.

    Args:
        data: settings of a training or of an evaluation.
        usual: settings of the evaluated model's training. A folder or file of the same name counts as the same data set
            in another place.
    """
    kind = str(data.get("_target_", "")).rpartition(".")[2]
    words = [kind]
    place = _NAMED_BY_THEIR_FILES.get(kind)
    if place is not None and data.get(place) is not None:
        before = (usual or {}).get(place)
        moved = before is not None and Path(before).name == Path(data[place]).name
        words.append(str(before if moved else data[place]))
    if data.get("target", _USUAL_TARGET) != _USUAL_TARGET:
        words.append(str(data["target"]))
    return " ".join(filter(None, words))

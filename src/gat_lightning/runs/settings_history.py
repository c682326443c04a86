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


_OF_LIBRARIES = ("torchvision_classifier", "timm_classifier")


def _images_before(images: Any) -> Any:
    """Before they were drawn, ``images=N`` meant the first N of the split, which are ``first:N`` now."""
    if isinstance(images, str):
        number = images.removeprefix("first:")
        return int(number) if number != images and number.isdecimal() else images
    return images if images is None else f"drawn:{images}"


def _without_trainer(engine: Any) -> Any:
    """Before engines had presets, their settings of the trainer were in ``trainer`` alone, as they still are too."""
    given = ("precision", "deterministic", "benchmark")
    return {key: value for key, value in engine.items() if key not in given} if isinstance(engine, dict) else engine


def _unlabeled_before(data: Any) -> Any:
    """STL-10 alone had ``unlabeled``, which was false where it is null now."""
    if not isinstance(data, dict) or data.get("unlabeled", True) not in (None, False):
        return data
    others = {key: value for key, value in data.items() if key != "unlabeled"}
    return {**others, "unlabeled": False} if data.get("_target_") == "gat_lightning.data.STL10" else others


_UNLABELED = {
    "mode": "auto",
    "images": "missing",
    "coefficient": 3,
    "ramp": 0.25,
    "detach": False,
    "weight": 1,
    "teacher": "standard",
    "teacher_epochs": None,
    "confidence": 0,
    "soft": False,
}

_STEEPEST = ("FGSM", "BIM", "MIM", "PGD")

HISTORY: tuple[Introduced | Renamed | Reshaped | Redefined, ...] = (
    Redefined("gat_lightning.training.schedules.cosine"),
    Redefined("gat_lightning.training.schedules.cyclic"),
    # Splits follow from hashes of the patients: no value of data.split_seed is as before.
    Redefined("gat_lightning.data.CheXpert.split"),
    Redefined("gat_lightning.data.NIH.split"),
    Redefined("gat_lightning.data.CheXpert.per_patient", unaffected=("all",)),
    Redefined("gat_lightning.data.NIH.per_patient", unaffected=("all",)),
    Redefined("gat_lightning.data.CheXpert.uncertain", unaffected=("ignore",)),
    Introduced("gat_lightning.data.CheXpert.uncertain_eval", "ignore"),
    *(Introduced(f"gat_lightning.attacks.{name}.loss", None) for name in _STEEPEST),
    *(Introduced(f"gat_lightning.methods.{name}.loss", None) for name in ("FGSMTraining", "Fast", "Mart", "Friendly")),
    Introduced("attack.loss", None),
    Introduced("target_task.label_smoothing", 0),
    Introduced("data.unlabeled_fraction", 0.5),
    Introduced("data.epoch_images", None),
    Reshaped("data", _unlabeled_before),
    *(
        Redefined(f"{node}.attack.restarts", unaffected=(1,))
        for node in ("validation", "test", "test.also.*", "evaluation.*", "curve")
    ),
    Reshaped("data.eps", lambda eps: eps.get("Linf", eps) if isinstance(eps, dict) else eps),
    *(
        Introduced(f"gat_lightning.models.{encoder}.{name}", None)
        for encoder in _OF_LIBRARIES
        for name in ("mean", "std")
    ),
    *(Redefined(f"gat_lightning.models.{encoder}.weights", unaffected=(None,)) for encoder in _OF_LIBRARIES),
    Redefined("init", unaffected=(None,)),
    Reshaped("images", _images_before),
    Redefined("audit", unaffected=(False,)),  # this and the next two are of ``subset`` images, which are drawn now
    Redefined("vulnerability", unaffected=(False,)),
    Redefined("surrogate", unaffected=(None,)),
    *(
        Renamed(f"gat_lightning.training.callbacks.{name}", f"pytorch_lightning.callbacks.{name}")
        for name in ("ModelCheckpoint", "EarlyStopping")
    ),
    Introduced("engine", {"compile": False, "channels_last": False}),  # of evaluations
    Reshaped("engine", _without_trainer),
    Introduced("engine.tf32", False),
    Introduced("trainer.benchmark", False),
    Introduced("engine.solve_every", 1),
    Introduced("curvature.every", 1),
    Introduced("trainer.sync_batchnorm", False),
    Introduced("unlabeled", _UNLABELED),
    Introduced("save_adversarial", False),
    *(
        Introduced(f"{node}.eot", 1)
        for node in (*(f"gat_lightning.attacks.{name}" for name in (*_STEEPEST, "APGDCE", "APGDT")), "attack")
    ),
    *(
        Introduced(f"{node}.targeted", None)
        for node in (*(f"gat_lightning.attacks.{each}" for each in _STEEPEST), "attack")
    ),
    Renamed("dry_run", "paper.dry_run"),
    Introduced("callbacks.curves", {"_target_": "gat_lightning.training.callbacks.Curves"}),
)
"""All changes of settings, the oldest first. Entries name settings as they were called right after the change, and stay
for good; a name that was given up is not used again for something else."""


def first_spelling(settings: dict[str, Any]) -> dict[str, Any]:
    """A resolved configuration as the first version would have had it."""
    return _undone(settings)[0]


def first_values(settings: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Values of some settings as the first version would have had them, by their names of today; None where missing."""
    spelled = first_spelling(settings)
    return {name: next((place.value for place in _places(spelled, _first_name(name))), None) for name in names}


def identity(settings: dict[str, Any]) -> dict[str, Any]:
    """What tells a run from all others: its settings as first spelled, and the numbers of those that were redefined."""
    spelled, numbers = _undone(settings)
    return {**spelled, "redefined": dict(numbers)} if numbers else spelled


def _first_name(name: str) -> str:
    for change in reversed(HISTORY):
        if isinstance(change, Renamed) and f"{name}.".startswith(f"{change.name}."):
            name = change.was + name.removeprefix(change.name)
    return name


def _undone(settings: dict[str, Any]) -> tuple[dict[str, Any], Counter[str]]:
    spelled, numbers = deepcopy(settings), Counter[str]()
    for change in reversed(HISTORY):
        if not isinstance(change, Redefined):
            change.undo(spelled)
        elif change.applies(spelled):
            numbers[change.name] += 1
    return spelled, numbers


_Path: TypeAlias = tuple[Any, ...]


class _Place(NamedTuple):
    """Where a setting is: its path below a node with a certain ``_target_``, or with none, the whole configuration."""

    base: dict[str, Any]
    target: str
    path: _Path

    @property
    def parent(self) -> Any:
        """The node or the list that the setting is in."""
        return reduce(getitem, self.path[:-1], self.base)

    @property
    def value(self) -> Any:
        """Of the setting."""
        return self.parent[self.path[-1]]


def _places(settings: dict[str, Any], name: str) -> list[_Place]:
    found = [_Place(settings, "", path) for path in _paths(settings, name.split("."))]
    for node in _nodes(settings):
        target = node.get("_target_")
        if target == name:
            found.append(_Place(node, target, ("_target_",)))
        elif target and name.startswith(f"{target}."):
            found += (_Place(node, target, path) for path in _paths(node, name.removeprefix(f"{target}.").split(".")))
    return found


def _paths(node: Any, names: list[str]) -> Iterator[_Path]:
    if not names:
        yield ()
        return
    for key, value in _items(node):
        if names[0] in ("*", str(key)):
            yield from ((key, *path) for path in _paths(value, names[1:]))


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for _, value in _items(node):
        yield from _nodes(value)


def _items(node: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(node, dict):
        return node.items()
    return enumerate(node) if isinstance(node, list) else ()


def _is_one_of(value: Any, others: Iterable[Any]) -> bool:
    """Equality as in JSON, where 1, 1.0 and true are three values."""
    return any(json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True) for other in others)

"""Settings of ``unlabeled``: what the target's head learns from images without its label."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from gat_lightning.attacks import Attack
from gat_lightning.config.naming import naming
from gat_lightning.errors import SettingError, UserError
from gat_lightning.info import NO_TARGET, DataInfo
from gat_lightning.methods import Consistency, Method
from gat_lightning.nearest import did_you_mean, nearest

AUTO, OFF, PSEUDO_LABEL, CONSISTENCY, BOTH = "auto", "off", "pseudo_label", "consistency", "both"
UNLABELED_MODES = (AUTO, PSEUDO_LABEL, CONSISTENCY, BOTH, OFF)

STANDARD, EMA = "standard", "ema"
"""Teachers that the run makes itself; all others are given."""

_OF_CLASSIFIER = ("model", "weights", "normalize")


@dataclass(frozen=True)
class UnlabeledMode:
    """What the target learns from images without its label, once ``auto`` is resolved.

    Attributes:
        name: ``pseudo_label``, ``consistency``, ``both`` or ``off``.
        reason: why, where nobody chose it.
    """

    name: str
    reason: str | None = None

    @property
    def labels(self) -> bool:
        """Whether a teacher fills in the missing labels."""
        return self.name in (PSEUDO_LABEL, BOTH)

    @property
    def consistency(self) -> bool:
        """Whether the outputs on such images are to stay the same under attack."""
        return self.name in (CONSISTENCY, BOTH)

    def plain(self) -> dict[str, str]:
        """As plain types, for ``result.json``."""
        return {"mode": self.name, **({} if self.reason is None else {"reason": self.reason})}

    def __str__(self) -> str:
        """The name, with the reason."""
        return self.name if self.reason is None else f"{self.name} ({self.reason})"


def unlabeled_mode(config: DictConfig, info: DataInfo) -> UnlabeledMode:
    """The mode of a run.

    Args:
        config: of the training.
        info: of its data.

    Raises:
        UserError: the chosen mode is not defined for the target.
    """
    mode, target = config.unlabeled.mode, config.data.target
    kind = None if target == NO_TARGET else info.labels[target].kind
    if mode == AUTO:
        if not _given(config):
            return UnlabeledMode(OFF)
        if kind in ("multiclass", "binary"):
            return UnlabeledMode(PSEUDO_LABEL, "data.unlabeled is given")
        return UnlabeledMode(OFF, "the target has no classes to be labelled with")
    found = UnlabeledMode(mode)
    if kind is None and mode != OFF:
        raise UserError(f"unlabeled.mode={mode} needs a target, and data.target=none: set unlabeled.mode=off.")
    if kind == "regression" and found.labels:
        raise UserError(
            f"unlabeled.mode={mode}: the target '{target}' is a number, and a teacher's guess of it has no confidence:"
            " use unlabeled.mode=consistency or off."
        )
    return found


def may_label(config: DictConfig) -> bool:
    """Whether a teacher's labels are wanted, unless the target is one that has none; no data are read."""
    mode = config.unlabeled.mode
    return mode in (PSEUDO_LABEL, BOTH) or (mode == AUTO and _given(config))


def needs_unlabelled(config: DictConfig) -> bool:
    """Whether someone chose a mode that has nothing to do if all training images have the target's label."""
    settings = config.unlabeled
    return settings.mode in (PSEUDO_LABEL, BOTH) or (settings.mode == CONSISTENCY and settings.images == "missing")


def with_consistency(config: DictConfig, method: Method, mode: UnlabeledMode) -> Method:
    """The method of a training, which has the objective ``TARGET/consistency`` in the modes with consistency."""
    if not mode.consistency:
        return method
    settings = config.unlabeled
    with naming(config, "unlabeled"):
        return Consistency(method, settings.coefficient, settings.ramp, settings.detach, settings.images)


def check_unlabeled(config: DictConfig, method: Method, attacks: Mapping[str, Attack]) -> None:
    """See that consistency and pseudo-labels, where there may be some, go together with the rest of a training.

    Args:
        config: of the training.
        method: of the training.
        attacks: those of the training, by the paths of their nodes.

    Raises:
        UserError: they do not.
    """
    settings = config.unlabeled
    if settings.mode in (CONSISTENCY, BOTH) and not method.needs_adversarial:
        raise UserError(
            f"unlabeled.mode={settings.mode} compares outputs on clean and adversarial images, and"
            f" method={type(method).__name__.lower()} makes none of these: choose another method, such as madry, or"
            " unlabeled.mode=pseudo_label or off."
        )
    if not may_label(config):
        return
    if settings.teacher == EMA and not config.callbacks.get("ema"):
        raise UserError("unlabeled.teacher=ema takes its labels from the average of callbacks=default+ema: set that.")
    if isinstance(settings.teacher, str) and settings.teacher not in (STANDARD, EMA):
        _check_there(settings.teacher)
    if settings.soft and (hard := _needs_classes(method, attacks["attack"])):
        raise UserError(
            f"unlabeled.soft=true: {hard} compares classes and takes no probabilities: set unlabeled.soft=false."
        )


def _check_there(teacher: str) -> None:
    if not Path(teacher).exists():
        hint = did_you_mean(nearest(teacher, [STANDARD, EMA]))
        raise UserError(f"unlabeled.teacher={teacher}: there is no such checkpoint or run directory{hint}")


def check_teacher(name: str, value: Any) -> None:
    """Raise `SettingError` unless the value can name a teacher."""
    right = "standard, ema, a checkpoint, a run directory, or {model: {_target_: FUNCTION}, weights: FILE}"
    if isinstance(value, dict):
        model = value.get("model")
        if not isinstance(model, dict) or "_target_" not in model or value.keys() - set(_OF_CLASSIFIER):
            raise SettingError(name, value, right)
    elif not isinstance(value, str) or not value:
        raise SettingError(name, value, right)


def _given(config: DictConfig) -> bool:
    """Whether there are unlabelled images for the target; ``true`` of STL-10 is for other tasks."""
    return isinstance(config.data.get("unlabeled"), str)


def _needs_classes(method: Method, attack: Attack) -> str | None:
    """What of a training does not take probabilities as labels."""
    if method.needs_classes:
        return f"method {type(method).__name__}"
    loss = getattr(method.attack or attack, "loss", None)
    return f"the attack's loss '{loss}'" if method.needs_adversarial and isinstance(loss, str) else None

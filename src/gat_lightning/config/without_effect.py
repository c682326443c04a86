"""Settings that somebody chose and that a training does not use, because of another setting."""

import re
from collections.abc import Iterator, Sequence
from pkgutil import resolve_name

from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.files import READ_ELSEWHERE, find_conf
from gat_lightning.config.unlabeled import STANDARD, UnlabeledMode
from gat_lightning.info import NO_TARGET
from gat_lightning.runs.directory import setting_of

_FINITE_DIFFERENCE = ("curvature.step", "curvature.scheme")
_TERMS = ("curvature.derivative", *_FINITE_DIFFERENCE, "curvature.coefficient", "curvature.every")
_CONSISTENCY = ("unlabeled.images", "unlabeled.coefficient", "unlabeled.ramp", "unlabeled.detach")
_PSEUDO_LABELS = ("unlabeled.teacher", "unlabeled.weight", "unlabeled.confidence", "unlabeled.soft")
_TEACHER_STAGE = ("unlabeled.teacher_epochs",)


def without_effect(config: DictConfig, unlabeled: UnlabeledMode, overrides: Sequence[str]) -> Iterator[str]:
    """A warning for each reason why chosen settings have no effect.

    Settings of the attack count as chosen if they were typed, those of ``curvature`` and ``unlabeled`` if they differ
    from the defaults of ``conf/train.yaml``.

    Args:
        config: of the run.
        unlabeled: its mode of learning from images without the target's label.
        overrides: what was typed.
    """
    yield from _typed_of_attack(config, overrides)
    usual = OmegaConf.load(find_conf() / "train.yaml")
    for settings, reason in [*_unused_of_curvature(config), *_unused_of_unlabeled(config, unlabeled)]:
        values = {name: OmegaConf.select(config, name) for name in settings}
        if chosen := [f"{name}={value}" for name, value in values.items() if value != OmegaConf.select(usual, name)]:
            yield f"{', '.join(chosen)}: no effect on the training, because {reason}."


def _typed_of_attack(config: DictConfig, overrides: Sequence[str]) -> Iterator[str]:
    used, reason = _used_of_attack(config)
    ignored = [text for text in overrides if re.match(r"attack\b(?!@)", name := setting_of(text)) and name not in used]
    if used and ignored:
        yield f"{', '.join(ignored)}: no effect on the training, because {reason}."


def _used_of_attack(config: DictConfig) -> tuple[list[str], str]:
    """Settings of the attack that are used, and why no others are; none where all are."""
    target = config.method._target_
    name = target.rpartition(".")[2]
    if not resolve_name(target).needs_adversarial:
        reason = f"{name} makes no adversarial images (scores use validation.attack and test.attack)"
        return ["attack.eps", "attack.norm"], reason
    method = OmegaConf.to_container(config.method, resolve=False)
    assert isinstance(method, dict)
    named = re.findall(r"\battack\b(?:\.(\w+))?", " ".join(map(str, method.values())))
    if not named:
        return [], ""
    taken = [setting or "eps" for setting in named]  # the whole attack is named by the resolver of a radius
    used = [f"attack.{key}" for key in dict.fromkeys([*taken, *READ_ELSEWHERE["attack"]])]
    return used, f"{name} has its own attack, which takes only {', '.join(used)}"


def _unused_of_curvature(config: DictConfig) -> Iterator[tuple[Sequence[str], str]]:
    """Settings that this training does not use, and why."""
    curvature, tasks = config.curvature, len(config.task) + (config.data.target != NO_TARGET)
    if curvature.mode == "off":
        yield _TERMS, "curvature.mode=off"
    elif tasks < 2:
        yield ("curvature.mode", *_TERMS), "curvature terms compare two tasks, and there is only one"
    else:
        if curvature.mode == "objective":
            yield ("curvature.coefficient",), "it belongs to curvature.mode=penalty"
        if curvature.derivative == "exact":
            yield _FINITE_DIFFERENCE, "curvature.derivative=exact"


def _unused_of_unlabeled(config: DictConfig, mode: UnlabeledMode) -> Iterator[tuple[Sequence[str], str]]:
    """Settings that this training does not use, and why."""
    if not mode.consistency:
        yield _CONSISTENCY, f"unlabeled.mode={mode}"
    if not mode.labels:
        yield (*_PSEUDO_LABELS, *_TEACHER_STAGE), f"unlabeled.mode={mode}"
    elif config.unlabeled.teacher != STANDARD:
        yield _TEACHER_STAGE, "it belongs to unlabeled.teacher=standard"

"""Warnings about attacks that are weaker than they look, and the refusal of those that do nothing."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig

from gat_lightning.attacks import Attack
from gat_lightning.attacks.budget import in_one_unit
from gat_lightning.config.constructors import origin_of
from gat_lightning.errors import UserError
from gat_lightning.methods import Method

_LARGE_GAMMA = 0.1


def check_training_attack(config: DictConfig, attacks: Mapping[str, Attack], method: Method) -> None:
    """Raise `UserError` if a training with adversarial images attacks with radius 0.

    Args:
        config: the whole configuration.
        attacks: of the training, the validation and the test, by the paths of their nodes.
        method: of the training.
    """
    if method.needs_adversarial and _of_training(method, attacks).eps == 0:
        path = "attack" if _of_training(method, attacks) is attacks["attack"] else "method"
        raise UserError(
            f"{origin_of(config, f'{path}.eps')}=0: the training would attack with radius 0, which changes no image."
            " For training on clean images, set method=standard."
        )


def check_radius_above_zero(config: DictConfig, attacks: Iterable[tuple[str, Attack]]) -> None:
    """Raise `UserError` for the first attack of a score that has radius 0, since that is the score of clean images.

    Args:
        config: the whole configuration.
        attacks: with the paths of their nodes.
    """
    for path, attack in attacks:
        if attack.eps == 0:
            raise UserError(
                f"{origin_of(config, f'{path}.eps')}=0: {path} would change no image, and its scores would be those of"
                f" clean images. Set a radius above 0."
            )


def doubts_about_training(config: DictConfig, attacks: Mapping[str, Attack], method: Method) -> Iterator[str]:
    """A warning about each setting of the attacks and of the weight perturbation that is hardly meant.

    Args:
        config: the whole configuration.
        attacks: of the training, the validation and the test, by the paths of their nodes.
        method: of the training.
    """
    own = [] if method.attack is None else [("method", method.attack)]
    yield from long_steps(config, [*attacks.items(), *own])
    if method.needs_adversarial:
        training = _of_training(method, attacks)
        for path in ("validation.attack", "test.attack"):
            lacking = ", ".join(_weaknesses(attacks[path], training))
            if lacking:
                chosen = " and best.ckpt is chosen by it" if path == "validation.attack" else ""
                yield (
                    f"{path} is weaker than the attack of the training ({lacking}): its scores overestimate the"
                    f" robustness that is trained for{chosen}. Set the settings of {path} to those of the training's"
                    " attack or stronger ones."
                )
    gamma = config.awp.gamma
    if gamma is not None and gamma > _LARGE_GAMMA:
        yield (
            f"awp.gamma={gamma}: each layer's weights move by {gamma:.0%} of their norm. Wu et al. (2020) use 0.01 for"
            " adversarial training and 0.005 for TRADES."
        )


def long_steps(config: DictConfig, attacks: Iterable[tuple[str, Attack]]) -> list[str]:
    """A warning about each step size above twice the radius.

    Args:
        config: the whole configuration.
        attacks: with the paths of their nodes.
    """
    found = {}
    for path, attack in attacks:
        step = getattr(attack, "step_size", 0)
        if attack.eps > 0 and step > 2 * attack.eps:
            name = origin_of(config, f"{path}.step_size")
            radius, length = in_one_unit([attack.eps, step])
            found[name] = (
                f"{name}={length} is above twice the radius, {radius}: every step leads from any point of the"
                " ball to its boundary, and none refines the one before. Leave it out for the attack's default."
            )
    return list(found.values())


def _of_training(method: Method, attacks: Mapping[str, Attack]) -> Any:
    """What has the norm and the radius, and perhaps the number of steps, of the training's attack."""
    return method if hasattr(method, "eps") else method.attack or attacks["attack"]


def _weaknesses(attack: Attack, training: Any) -> Iterator[str]:
    if attack.norm.name != training.norm.name:
        yield f"norm {attack.norm.name}, not {training.norm.name}"
    elif attack.eps < training.eps:
        yield "radius {}, not {}".format(*in_one_unit([attack.eps, training.eps]))
    fewer, more = getattr(attack, "steps", None), getattr(training, "steps", None)
    if fewer is not None and more is not None and fewer < more:
        yield f"steps {fewer}, not {more}"

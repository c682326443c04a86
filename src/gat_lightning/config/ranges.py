"""Ranges of settings that no constructor checks, or only during training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.constructors import origin_of
from gat_lightning.errors import UserError
from gat_lightning.gradients.spaces import SPACES
from gat_lightning.nearest import did_you_mean, nearest
from gat_lightning.tasks import ATTACKED


class Range(NamedTuple):
    """What a setting may be, as a test and in words."""

    holds: Callable[[Any], bool]
    right: str
    names: tuple[str, ...] = ()


class Fixed(NamedTuple):
    """The only values that work, why no others do, and what to do instead."""

    values: tuple[Any, ...]
    why: str
    remedy: str


def one_of(*names: str) -> Range:
    """One of these names."""
    return Range(lambda value: value in names, f"one of: {', '.join(names)}", names)


def whole(least: int, *others: Any, most: float = math.inf) -> Range:
    """A whole number of at least ``least``, or one of the ``others``."""
    words = f"a whole number of at least {least}" + (f" and at most {most:.0f}" if most < math.inf else "")
    return Range(
        lambda value: _among(value, others) or (_is(value, int) and least <= value <= most),
        _or(words, others),
    )


def number(accepts: Callable[[float], bool], words: str, *others: Any) -> Range:
    """A finite number that the test accepts, or one of the ``others``."""
    return Range(
        lambda value: _among(value, others) or (_is(value, int, float) and math.isfinite(value) and accepts(value)),
        f"a number {_or(words, others)}",
    )


def text(words: str, *others: Any) -> Range:
    """A text, or one of the ``others``."""
    return Range(lambda value: _among(value, others) or _is(value, str), _or(words, others))


def flag() -> Range:
    """True or false."""
    return Range(lambda value: isinstance(value, bool), "true or false")


def _is(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _among(value: Any, others: tuple[Any, ...]) -> bool:
    return any(type(value) is type(other) and value == other for other in others)


def _or(words: str, others: tuple[Any, ...]) -> str:
    return " or ".join([words, *("null" if other is None else str(other) for other in others)])


_BATCHES = number(lambda value: value > 0, "of batches above 0, or a part of them such as 0.5", None)

RANGES = {
    "seed": whole(0, most=2**32 - 1),
    "on_nan": one_of("stop", "skip"),
    "resume": text("auto or a checkpoint or a run directory", None),
    "skip_finished": flag(),
    "init": text("a checkpoint", None),
    "data.views": one_of("shared", "separate"),
    "attack.tasks": one_of(*ATTACKED),
    "encoder.width": whole(1),
    "engine.micro_batch": whole(1, None),
    "engine.channels_last": flag(),
    "engine.compile": flag(),
    "engine.space": one_of(*SPACES),
    "engine.clip_norm": number(lambda value: value > 0, "above 0", None),
    "validation.images": whole(1, None),
    "validation.every": whole(1),
    "target_task.pos_weight": number(lambda value: value > 0, "above 0", "balanced", None),
    "awp.gamma": number(lambda value: value > 0, "above 0, such as 0.01", None),
    "optimizer.lr": number(lambda value: value > 0, "above 0, such as 0.1"),
    "optimizer.momentum": number(lambda value: 0 <= value < 1, "of at least 0 and below 1, such as 0.9"),
    "optimizer.weight_decay": number(lambda value: value >= 0, "of at least 0, such as 5e-4"),
    "schedule.final_lr": number(lambda value: value >= 0, "of at least 0"),
    "schedule.warmup": number(lambda value: 0 <= value < 1, "of at least 0 and below 1, such as 0.05"),
    "trainer.max_epochs": whole(1, -1, None),
    "trainer.max_steps": whole(1, -1),
    "trainer.devices": Range(
        lambda value: isinstance(value, (str, list)) or value == -1 or (_is(value, int) and value > 0),
        "a number of at least 1, -1 for all, auto, or a list of indices",
    ),
    "trainer.check_val_every_n_epoch": whole(1, None),
    "trainer.log_every_n_steps": whole(1),
    "trainer.limit_train_batches": _BATCHES,
    "trainer.limit_val_batches": _BATCHES,
    "trainer.limit_test_batches": _BATCHES,
}
"""By setting; those that a configuration does not have are passed over."""

FIXED = {
    "trainer.precision": Fixed(
        ("32-true", "32", 32, "64-true", "64", 64, "bf16-mixed", None),
        "weights and gradients are kept in full precision, and fp16 would need its losses scaled one by one",
        "set trainer.precision=bf16-mixed, 32-true or 64-true",
    ),
    "trainer.accumulate_grad_batches": Fixed(
        (1,),
        "the weights of the objectives follow from the gradients of a whole batch",
        "leave it out, set data.batch_size to the batch that a step is to see, and engine.micro_batch to what fits",
    ),
    "trainer.gradient_clip_val": Fixed(
        (None,), "it does not reach the gradients that we combine", "leave it out and set engine.clip_norm"
    ),
    "trainer.inference_mode": Fixed((False,), "attacks need gradients in validation", "leave it at false"),
    "trainer.use_distributed_sampler": Fixed(
        (False,), "our sampler gives each process its part of the batch", "leave it at false"
    ),
    "trainer.fast_dev_run": Fixed((False, 0), "it writes no checkpoints to test", "use debug=fast"),
    "trainer.callbacks": Fixed((), "callbacks are a group", "choose there, as in callbacks=default+early_stopping"),
    "trainer.logger": Fixed((), "loggers are a group", "choose there, as in logger=csv"),
    "trainer.default_root_dir": Fixed((), "runs have their own directories", "set paths.output=FOLDER"),
}
"""Arguments of Lightning's trainer that leave no choice here."""


def check_settings(config: DictConfig) -> None:
    """Raise `UserError` for the first setting that is out of its range."""
    for path, value in _present(config, FIXED):
        fixed = FIXED[path]
        if not _among(value, fixed.values):
            raise UserError(f"{path}={value} does not work here, since {fixed.why}: {fixed.remedy}.")
    for path, value in _present(config, RANGES):
        allowed = RANGES[path]
        if not allowed.holds(value):
            meant = did_you_mean(nearest(value, allowed.names), otherwise=".")
            raise UserError(f"{origin_of(config, path)}={value!r}: it must be {allowed.right}{meant}")


def _present(config: DictConfig, paths: Iterable[str]) -> Iterator[tuple[str, Any]]:
    absent = object()
    for path in paths:
        value = OmegaConf.select(config, path, default=absent)
        if value is not absent:
            yield path, OmegaConf.to_container(value) if OmegaConf.is_config(value) else value

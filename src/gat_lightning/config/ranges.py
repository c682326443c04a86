"""Ranges of the settings that no constructor checks, or only once the training runs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.constructors import origin_of
from gat_lightning.config.unlabeled import UNLABELED_MODES, check_teacher
from gat_lightning.errors import SettingError, UserError
from gat_lightning.gradients.spaces import SPACES
from gat_lightning.methods.unlabeled import IMAGES
from gat_lightning.runs.metric_names import SELECTION, scores_in
from gat_lightning.tasks import ATTACKED
from gat_lightning.validate import check_bool, check_int, check_option, check_real

Check = Callable[[str, Any], Any]
"""From a setting's name and value; raises `SettingError`."""


class Fixed(NamedTuple):
    """The only values that work, why no others do, and what to do instead."""

    values: tuple[Any, ...]
    why: str
    remedy: str


def check_text(name: str, value: Any, right: str) -> None:
    """Raise `SettingError` unless the value is a text or None."""
    if value is not None and not isinstance(value, str):
        raise SettingError(name, value, right, also=(None,))


def check_score(name: str, value: Any) -> None:
    """Raise `SettingError` unless the value has the form of a score's name."""
    if value != SELECTION and not (isinstance(value, str) and scores_in([value], value.partition("/")[0])):
        raise SettingError(name, value, f"{SELECTION} or a score such as test/pgd20/accuracy")


def _check_devices(name: str, value: Any) -> None:
    if not isinstance(value, (str, list)):
        check_int(name, value, also=(-1, "auto", "a list of indices"))


_positive = partial(check_real, low=0, closed="neither")
_batches = partial(_positive, example="0.5 of them or 10", also=(None,))

RANGES: dict[str, Check] = {
    "seed": partial(check_int, low=0, high=2**32 - 1),
    "on_nan": partial(check_option, options=("stop", "skip")),
    "resume": partial(check_text, right="auto or a checkpoint or a run directory"),
    "skip_finished": check_bool,
    "dry_run": check_bool,
    "optimized_metric": check_score,
    "init": partial(check_text, right="a checkpoint"),
    "data.views": partial(check_option, options=("shared", "separate")),
    "attack.tasks": partial(check_option, options=ATTACKED),
    "encoder.width": check_int,
    "engine.space": partial(check_option, options=SPACES),
    "engine.micro_batch": partial(check_int, also=(None,)),
    "engine.channels_last": partial(check_bool, also=("auto",)),
    "engine.compile": partial(check_bool, also=("auto",)),
    "engine.tf32": check_bool,
    "trainer.deterministic": partial(check_bool, also=("warn", None)),
    "trainer.benchmark": partial(check_bool, also=(None,)),
    "engine.solve_every": check_int,
    "trainer.sync_batchnorm": check_bool,
    "engine.clip_norm": partial(_positive, also=(None,)),
    "validation.images": partial(check_int, also=(None,)),
    "validation.every": check_int,
    "target_task.pos_weight": partial(_positive, also=(None, "balanced")),
    "target_task.label_smoothing": partial(check_real, low=0, high=1, closed="left", example=0.1),
    "unlabeled.mode": partial(check_option, options=UNLABELED_MODES),
    "unlabeled.images": partial(check_option, options=IMAGES),
    "unlabeled.coefficient": partial(check_real, low=0, example=3),
    "unlabeled.ramp": partial(check_real, low=0, high=1, example=0.25),
    "unlabeled.detach": check_bool,
    "unlabeled.weight": partial(_positive, example=0.5),
    "unlabeled.teacher": check_teacher,
    "unlabeled.teacher_epochs": partial(check_int, also=(None,)),
    "unlabeled.confidence": partial(check_real, low=0, high=1, example=0.5),
    "unlabeled.soft": check_bool,
    "awp.gamma": partial(_positive, high=1, closed="right", example=0.01, also=(None,)),
    "optimizer.lr": partial(_positive, example=0.1),
    "optimizer.momentum": partial(check_real, low=0, high=1, closed="left", example=0.9),
    "optimizer.weight_decay": partial(check_real, low=0, example=5e-4),
    "schedule.final_lr": partial(check_real, low=0),
    "trainer.max_epochs": partial(check_int, also=(-1, None)),
    "trainer.max_steps": partial(check_int, also=(-1,)),
    "trainer.devices": _check_devices,
    "trainer.num_nodes": check_int,
    "trainer.check_val_every_n_epoch": partial(check_int, also=(None,)),
    "trainer.log_every_n_steps": check_int,
    "trainer.limit_train_batches": _batches,
    "trainer.limit_val_batches": _batches,
    "trainer.limit_test_batches": _batches,
}
"""By setting; those that a configuration does not have are passed over."""

FIXED = {
    "trainer.precision": Fixed(
        ("32-true", "32", 32, "64-true", "64", 64, "bf16-mixed", "auto", None),
        "weights and gradients are kept in full precision, and fp16 would need its losses scaled one by one",
        "set engine.precision=bf16-mixed, 32-true or 64-true",
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
    "engine.world_size": Fixed((), "objectives are divided by the size of the joined batch already", "leave it out"),
    "trainer.default_root_dir": Fixed((), "runs have their own directories", "set paths.output=FOLDER"),
}
"""Arguments that leave no choice here, most of Lightning's trainer."""


def check_settings(config: DictConfig) -> None:
    """Raise `UserError` for the first setting that is out of its range."""
    for path, value in _present(config, FIXED):
        fixed = FIXED[path]
        if not any(type(value) is type(right) and value == right for right in fixed.values):
            raise UserError(f"{origin_of(config, path)}={value} does not work here, since {fixed.why}: {fixed.remedy}.")
    check_ranges(config, RANGES)


def check_ranges(config: DictConfig, ranges: Mapping[str, Check]) -> None:
    """Raise `UserError` for the first of these settings that is out of its range."""
    for path, value in _present(config, ranges):
        try:
            ranges[path](origin_of(config, path), value)
        except SettingError as error:
            raise UserError(error.spelled(error.name, "null")) from error


def _present(config: DictConfig, paths: Iterable[str]) -> Iterator[tuple[str, Any]]:
    absent = object()
    for path in paths:
        value = OmegaConf.select(config, path, default=absent)
        if value is not absent:
            yield path, OmegaConf.to_container(value) if OmegaConf.is_config(value) else value

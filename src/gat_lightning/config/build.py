"""Construction of a run's objects from its configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gat_lightning.attacks import Attack, IterativeAttack
from gat_lightning.augment import Augmentation
from gat_lightning.config.compiling import work_of_training
from gat_lightning.config.data_modules import check_data_module
from gat_lightning.config.engine import FULL, ResolvedEngine, resolved_training, this_machine
from gat_lightning.config.files import GIVEN_TO_ENCODERS, READ_ELSEWHERE, plain
from gat_lightning.config.naming import naming
from gat_lightning.config.normalization import normalization_for
from gat_lightning.config.processes import process_plugins
from gat_lightning.config.unlabeled import needs_unlabelled, unlabeled_mode, with_consistency
from gat_lightning.curvature import Curvature
from gat_lightning.data import ImageDataModule
from gat_lightning.errors import UserError
from gat_lightning.gradients import GradientEngine
from gat_lightning.gradients.checks import check_solving
from gat_lightning.info import NO_TARGET, DataInfo
from gat_lightning.loggers import CSVLogger
from gat_lightning.methods import Method, WeightPerturbation
from gat_lightning.models import MultiTaskModel
from gat_lightning.runs.checkpoint_io import DurableCheckpointIO
from gat_lightning.runs.relative_paths import relative_to_run
from gat_lightning.tasks import (
    Task,
    attacked_tasks,
    check_attack_loss,
    check_leading,
    target_task,
    warn_of_lost_orientation,
)
from gat_lightning.training.callbacks.catastrophic_overfitting import CatastrophicOverfittingGuard
from gat_lightning.training.callbacks.checkpoint_paths import CheckpointPaths
from gat_lightning.training.callbacks.numerics import Numerics
from gat_lightning.training.callbacks.training_doubts import TrainingDoubts
from gat_lightning.training.callbacks.unlabelled_images import UnlabelledImages
from gat_lightning.training.extra_passes import check_second_pass
from gat_lightning.training.launcher import watch_ranks
from gat_lightning.training.module import GATModule
from gat_lightning.training.optimizers import Optimization
from gat_lightning.training.passes import Passes
from gat_lightning.training.validation import Scores
from gat_lightning.weighting import Weighting

CHECKPOINT_SCHEMA = 2
"""Of the checkpoints that this version writes, and the only one that it reads: an earlier one names other modules."""


def build_data(config: DictConfig) -> ImageDataModule:
    """The data module with its augmentation."""
    with naming(config, "augment"):
        augment = instantiate(config.augment)
    with naming(config, "data"):
        data = instantiate(_own(config, "data"), augment=augment)
    check_data_module(type(data), config.data._target_)
    return data


def build_tasks(config: DictConfig, info: DataInfo) -> list[Task]:
    """The target task if there is one, then the auxiliary ones in the order given."""
    others = []
    for key in config.task:
        with naming(config, f"task.{key}"):
            others.append(instantiate(config.task[key]))
            others[-1].setup(info)
    if config.data.target == NO_TARGET:
        with naming(config, "data"):
            check_leading(others)
        return others
    of_target = {str(key): value for key, value in config.target_task.items()}
    with naming(config, "target_task"):
        return [target_task(info, config.data.target, **of_target), *others]


def build_model(config: DictConfig, info: DataInfo, tasks: list[Task]) -> MultiTaskModel:
    """The encoder with a decoder for each task, in float32; ``trainer.precision`` may change that for a training."""
    normalization = normalization_for(config.encoder, info)
    given = dict(zip(GIVEN_TO_ENCODERS, (tasks[0].outputs, info.image, *normalization), strict=True))
    with naming(config, "encoder"):
        classifier = instantiate(config.encoder)(**given).float()
        return MultiTaskModel(classifier, tasks[0].name, info.image, tasks[1:], stages=None)


def build_training_attacks(config: DictConfig) -> dict[str, Attack]:
    """The attacks of a training, its validation and its test, by the paths of their nodes."""
    return {path: build_attack(config, path) for path in ("attack", *scored_attacks(config))}


def build_test_attacks(config: DictConfig) -> dict[str, Attack]:
    """``test.attack`` under its own name, then those of ``test.also`` under the names that they have there.

    Raises:
        UserError: one of these has the name of ``test.attack``, whose metrics it would replace.
    """
    attack = build_attack(config, "test.attack")
    further = {str(name): build_attack(config, f"test.also.{name}.attack") for name in config.test.also}
    if attack.name in further:
        raise UserError(
            f"test.also.{attack.name} has the name of test.attack; change its settings, or the other's name."
        )
    return {attack.name: attack, **further}


def build_module(
    config: DictConfig, info: DataInfo, batches: int | None = None, before: ResolvedEngine | None = None
) -> GATModule:
    """Everything that a training step needs.

    Args:
        config: of the training.
        info: of its data.
        batches: number of batches in an epoch; None where it is not known.
        before: how the run to resume was computed; None for one that begins.

    Raises:
        UserError: the parts do not go together, or the machine lacks what the run to resume was begun with.
    """
    tasks = build_tasks(config, info)
    for task in tasks:
        with naming(config, f"task.{task.name}"):
            task.begin()
    warn_of_lost_orientation(info, tasks, config.data.views == "separate")
    attack = build_attack(config, "attack")
    method = with_consistency(config, instantiate(config.method), unlabeled_mode(config, info))
    curvature, weighting = instantiate(config.curvature), instantiate(config.weighting)
    names = [task.name for task in tasks]
    augment = instantiate(config.augment)
    with naming(config, "attack"):
        attacked = attacked_tasks(tasks, config.attack.tasks)
    with naming(config, "method"):
        method.check(tasks, attacked)
    if method.needs_adversarial:
        check_attack(config, "attack", method.attack or attack, method.attacked(tasks, attacked), info)
    scores = _scores(config, tasks[0], info)
    check_objectives(config, names, augment, method, weighting, curvature)
    model = build_model(config, info, tasks)
    resolved = _resolved(config, model, method, attack, batches, before)
    engine = _engine(config, model, names, weighting)
    micro_batch = config.engine.micro_batch
    settings = relative_to_run(plain(config), config.paths.run)
    module = GATModule(
        Passes(
            model,
            tasks,
            curvature,
            micro_batch=micro_batch,
            compiled=resolved.compiled,
            channels_last=resolved.channels_last,
            recompute=micro_batch is not None and engine.keeps_graphs,
            needs_clean=method.needs_clean,
        ),
        method,
        attack,
        engine,
        Optimization(instantiate(config.optimizer), instantiate(config.schedule)),
        scores,
        attacked=attacked,
        separate_views=config.data.views == "separate",
        augment=augment,
        weight_perturbation=WeightPerturbation(config.awp.gamma),
        skip_non_finite=config.on_nan == "skip",
        seed=config.seed,
        origin={"schema": CHECKPOINT_SCHEMA, "config": settings, "data": asdict(info), "engine": resolved.plain()},
    )
    with naming(config, "optimizer"):
        module.new_optimizer()
    return module


def _resolved(
    config: DictConfig,
    model: MultiTaskModel,
    method: Method,
    attack: Attack,
    batches: int | None,
    before: ResolvedEngine | None,
) -> ResolvedEngine:
    work = None if batches is None else work_of_training(config, model, method, attack, batches)
    return resolved_training(config, model, this_machine(config.trainer.get("accelerator", "auto")), work, before)


def _scores(config: DictConfig, target: Task, info: DataInfo) -> Scores:
    """What validation and test measure, by attacks that can attack the target."""
    validation, test = _named(build_attack(config, "validation.attack")), build_test_attacks(config)
    for path, attack in zip(scored_attacks(config), [*validation.values(), *test.values()], strict=True):
        check_attack(config, path, attack, [target], info)
    return Scores(validation, test, config.validation.images)


def _engine(config: DictConfig, model: MultiTaskModel, tasks: Sequence[str], weighting: Weighting) -> GradientEngine:
    """The engine of the model's parameters, for objectives that are shares of the joined batch."""
    decoders = {task: model.decoder_parameters(task) for task in tasks}
    with naming(config, "engine"):
        make = instantiate(_own(config, "engine"))
        return make(model.shared_parameters(), decoders, weighting=weighting, world_size=1)


def check_objectives(
    config: DictConfig,
    tasks: Sequence[str],
    augment: Augmentation,
    method: Method,
    weighting: Weighting,
    curvature: Curvature,
) -> None:
    """See that the parts of a step go together.

    Raises:
        UserError: one is not defined for these tasks and the objectives that they have.
    """
    with naming(config, "augment"):
        augment.check(config.data.target != NO_TARGET)
    with naming(config, "weighting"):
        weighting.check([*method.names(tasks), *curvature.names(tasks)])
        check_second_pass(weighting, WeightPerturbation(config.awp.gamma))
    with naming(config, "engine"):
        check_solving(weighting, config.engine.space, config.engine.solve_every)
    with naming(config, "curvature"):
        curvature.check(tasks, config.engine.space, config.engine.solve_every)


def scored_attacks(config: DictConfig) -> list[str]:
    """The nodes of the attacks of validation and test, in this order."""
    return ["validation.attack", "test.attack", *(f"test.also.{name}.attack" for name in config.test.also)]


def check_attack(config: DictConfig, path: str, attack: Attack, attacked: Sequence[Task], info: DataInfo) -> None:
    """Raise `UserError` unless the attack at ``path`` is defined for the images and for the tasks that it attacks."""
    with naming(config, path):
        attack.check_images(*info.image)
        if isinstance(attack, IterativeAttack):
            check_attack_loss(attack.loss, attacked)
            if attack.targeted is not None:
                attack.name_classes(info.labels[attacked[0].name].classes or ("no", "yes"))


def build_attack(config: DictConfig, path: str, **changed: Any) -> Attack:
    """The attack of the node at ``path``, some settings changed; whose loss it increases is the module's business."""
    node = OmegaConf.select(config, path)
    with naming(config, path):
        return instantiate({key: node[key] for key in node if key != "tasks"} | changed)


def build_trainer(config: DictConfig, precision: str = FULL) -> pl.Trainer:
    """The trainer with callbacks, the guard that the method needs and loggers; ``metrics.csv`` is always written.

    Args:
        config: of the training.
        precision: what the configured one is on this machine, see :mod:`gat_lightning.config.engine`.
    """
    fall = instantiate(config.method).largest_fall
    own = [
        Numerics(config.engine.tf32),
        CheckpointPaths(),
        TrainingDoubts(),
        *([] if fall is None else [CatastrophicOverfittingGuard(fall)]),
        *([UnlabelledImages()] if needs_unlabelled(config) else []),
    ]
    chosen = config.trainer.get("strategy", "auto")
    trainer: pl.Trainer = instantiate(
        config.trainer,
        precision=precision,
        callbacks=[*(instantiate(callback) for callback in config.callbacks.values()), *own],
        logger=[CSVLogger(config.paths.run), *(instantiate(logger) for logger in config.logger.values())],
        plugins=[DurableCheckpointIO(), *process_plugins()],
        default_root_dir=config.paths.run,
        strategy=instantiate(chosen) if isinstance(chosen, DictConfig) else chosen,
    )
    watch_ranks(trainer)
    return trainer


def _own(config: DictConfig, node: str) -> dict[Any, Any]:
    """The settings of a node that its constructor takes."""
    return {key: config[node][key] for key in config[node] if key not in READ_ELSEWHERE[node]}


def _named(attack: Attack) -> Mapping[str, Attack]:
    return {attack.name: attack}

"""The LightningModule: one screen of training step, in the order of Algorithm 1 of the paper."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gat_lightning.attacks import Attack
from gat_lightning.attacks.guard import unchanged_buffers
from gat_lightning.augment import Augmentation, Identity
from gat_lightning.batch import Batch, pieces
from gat_lightning.curvature.terms import Curvature
from gat_lightning.errors import NonFiniteError, UserError
from gat_lightning.gradients.engine import GradientEngine, GradientStep
from gat_lightning.methods import Method
from gat_lightning.methods.weight_perturbation import WeightPerturbation
from gat_lightning.models import MultiTaskModel
from gat_lightning.models.encoding import (
    check_channels_last,
    compile_encoder,
    full_precision,
    has_moving_statistics,
    keep_generators,
    recomputed,
    with_equal_draws,
)
from gat_lightning.models.features import Encode
from gat_lightning.randomness import BatchGenerator, Shard, generator_for
from gat_lightning.tasks import Task, attacked_tasks
from gat_lightning.tasks.forward import ForwardPass, TaskProblem, forward_pass
from gat_lightning.tasks.views import Views, prepare_views
from gat_lightning.training.schedules import steps_of_run
from gat_lightning.training.validation import ScoredModule

log = logging.getLogger(__name__)

MOST_SKIPPED = 10
"""So many non-finite batches in a row end a training that leaves them out."""


class GATModule(ScoredModule):
    """Guided Adversarial Training of a multi-task model, with manual optimisation.

    Args:
        model: the multi-task model, with a decoder for every task.
        tasks: the target first; the self-supervised ones transform the images in this order.
        method: the outer minimisation, which decides the objectives.
        attack: the inner maximisation, unless the method has one of its own.
        attacked: whose loss the attack increases: ``target``, ``all`` or ``auxiliary`` tasks (Table 3).
        augment: the data's, of which a part may need the whole batch (CutMix).
        weight_perturbation: adversarial weights, at which gradients are taken; none if None.
        engine: (shared parameters, decoders' parameters by task) -> gradient engine.
        curvature: the curvature terms.
        separate_views: give each self-supervised task its own copy of the image, and the others the plain one.
        micro_batch: most images that go through the model at once; a larger batch is worked off in parts, with the same
            gradients (BatchNorm takes its statistics from a part). All at once if None.
        channels_last: keep images and convolutions in that memory layout.
        compiled: compile the encoder, and use it so in attacks, and, if the model has no BatchNorm, wherever no double
            backward follows.
        optimizer: parameters -> optimiser.
        schedule: (optimiser, number of steps) -> learning-rate schedule, stepped after every batch.
        skip_non_finite: leave out batches with a NaN or infinite objective, instead of stopping; ten in a row stop.
        seed: of everything that is drawn in a step.
        validation_attacks: at least one, by the name of its view in the metrics; the first chooses the best checkpoint.
        test_attacks: likewise.
        validation_images: how many images of the validation split are attacked; all if None.
        origin: what checkpoints carry besides weights : configuration and shape of the data, plain types.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        tasks: Sequence[Task],
        method: Method,
        attack: Attack,
        engine: Callable[..., GradientEngine],
        curvature: Curvature,
        optimizer: Callable[[Any], Optimizer],
        schedule: Callable[[Optimizer, int], LRScheduler],
        validation_attacks: Mapping[str, Attack],
        test_attacks: Mapping[str, Attack],
        attacked: str = "target",
        augment: Augmentation | None = None,
        weight_perturbation: WeightPerturbation | None = None,
        separate_views: bool = False,
        micro_batch: int | None = None,
        channels_last: bool = False,
        compiled: bool = False,
        skip_non_finite: bool = False,
        seed: int = 0,
        validation_images: int | None = None,
        origin: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            model=model.to(memory_format=torch.channels_last) if channels_last else model,
            tasks=tasks,
            validation_attacks=validation_attacks,
            test_attacks=test_attacks,
            robust_selection=method.selection == "robust",
            validation_images=validation_images,
            micro_batch=micro_batch,
            seed=seed,
        )
        self.automatic_optimization = False
        self.task_names = [task.name for task in tasks]
        self.method = method
        self.attack = method.attack or attack
        self.attacked_tasks = attacked_tasks(self.tasks, attacked)
        self.augment = augment or Identity()
        self.weight_perturbation = weight_perturbation or WeightPerturbation(None)
        self.curvature = curvature
        self.separate_views = separate_views
        self.channels_last = channels_last
        self.compiled = compiled
        self.skip_non_finite = skip_non_finite
        self.skipped = self._skipped_in_a_row = 0
        self.origin = origin or {}
        self._make_optimizer = optimizer
        self._make_schedule = schedule
        self.engine = engine(
            model.shared_parameters(), {name: model.decoder_parameters(name) for name in self.task_names}
        )
        self.last_step: GradientStep | None = None

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Make what the model itself draws (dropout) follow from seed, epoch and step, each process for its images."""
        key = (self.seed, self.current_epoch, batch_idx, "model", batch.shard.offset)
        torch.manual_seed(generator_for(*key).initial_seed())

    def setup(self, stage: str) -> None:
        """Compile, in the process that trains; refuse a memory layout that torch cannot keep."""
        if self.channels_last:
            check_channels_last(self.model, self.trainer.strategy.root_device)
        if self.compiled and stage == "fit":
            compile_encoder(self.model)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One step of Algorithm 1; each line is one arrow of the data flow."""
        generators = self._generators(batch.shard, batch_idx)
        batch = self.augment.at_step(self._in_layout(batch), generators, self._target_loss)
        views = prepare_views(batch, self.tasks, generators, self.separate_views)
        for _ in range(self.method.replays):
            self.method.begin_replay(views)
            parts = [(part, self._perturb(part, batch_idx)) for part in views.parts(self.micro_batch)]
            buffers = [buffer.clone() for buffer in self.model.buffers()] if self.skip_non_finite else []
            with self.weight_perturbation(self.model, partial(self._objective_sums, parts)):
                for part, perturbed in parts:
                    self._accumulate(part, perturbed)
                step = self._finish_gradients()
            self.last_step = step
            if step is None:
                for buffer, before in zip(self.model.buffers(), buffers, strict=True):
                    buffer.copy_(before)
            else:
                self._optimizer_step()
                self.method.end_replay()

    def _accumulate(self, part: Views, perturbed: Tensor | None) -> None:
        """Forward passes, objectives and curvature of one part, and their gradients."""
        clean, adversarial = self._passes(part, perturbed)
        if adversarial is not None:
            self.method.observe(adversarial, self.attacked_tasks)
        objectives = self.method.objectives(self.tasks, clean, adversarial)
        with full_precision(self.device):
            terms, penalty = self.curvature(clean, self.task_names, self._losses_at)
        representation = [tensor for each in (clean, adversarial) if each for tensor in each.representation]
        try:
            self.engine.accumulate([*objectives, *terms], penalty, representation)
        except RuntimeError as error:
            if "derivative for" in str(error) and "not implemented" in str(error) and self.curvature.exact:
                raise UserError(
                    f"This encoder has no second derivative, which curvature.derivative=exact needs ({error}). Set"
                    " curvature.derivative=finite_difference or curvature.mode=off."
                ) from error
            raise

    def _passes(self, part: Views, perturbed: Tensor | None) -> tuple[ForwardPass | None, ForwardPass | None]:
        clean = self._clean_pass(part) if self.method.needs_clean or self._with_curvature else None
        return clean, None if perturbed is None else self._pass(perturbed, part)

    def _objective_sums(self, parts: Sequence[tuple[Views, Tensor | None]]) -> Iterator[Tensor]:
        """Each part's share of the sum of all objectives, which adversarial weights increase."""
        for part, perturbed in parts:
            objectives = self.method.objectives(self.tasks, *self._passes(part, perturbed))
            yield torch.stack([objective.loss for objective in objectives]).sum()

    def _target_loss(self, images: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """The target's loss on each of some clean images, ``[B]``, by a pass that leaves no trace in the model."""
        target = self.tasks[0]
        with torch.no_grad(), unchanged_buffers(self.model):
            losses = [
                target.loss(self.model(images[part], [target.name])[target.name], labels[target.name][part])
                for part in pieces(len(images), self.micro_batch)
            ]
        return torch.cat(losses)

    def _in_layout(self, batch: Batch) -> Batch:
        if not self.channels_last:
            return batch
        return replace(batch, images=batch.images.contiguous(memory_format=torch.channels_last))

    @property
    def _with_curvature(self) -> bool:
        return self.curvature.enabled(self.task_names)

    def _generators(self, shard: Shard | None, batch_idx: int) -> Callable[[str], BatchGenerator]:
        """Makes the generator of a purpose within this step, for a part of the joined batch."""
        assert shard is not None
        return partial(BatchGenerator, shard, self.seed, self.current_epoch, batch_idx)

    def _perturb(self, part: Views, batch_idx: int) -> Tensor | None:
        if not self.method.needs_adversarial:
            return None
        problem = self.method.problem(self.model, part, self.tasks, self.attacked_tasks)
        return self.method.perturb(self.attack, problem, part, self._generators(part.shard, batch_idx)("attack"))

    def _pass(self, images: Tensor, part: Views) -> ForwardPass:
        encode = self._encode
        if self.micro_batch is not None and self.engine.space == "representation":
            encode = partial(recomputed, self.model)
        return forward_pass(self.model, images, part, self.tasks, encode)

    @property
    def _encode(self) -> Encode:
        """How the passes that train are run: compiled if they can be, which those of attacks always can."""
        eager = self.compiled and has_moving_statistics(self.model)
        return self.model.encode_eagerly if eager else self.model.encode

    def _clean_pass(self, part: Views) -> ForwardPass:
        """In full precision where curvature follows, and uncompiled where it is differentiated twice."""
        if not self._with_curvature:
            return self._pass(part.images, part)
        images = part.images.detach().requires_grad_()
        with full_precision(images.device):
            encode = (
                self.model.encode_eagerly if self.curvature.exact else with_equal_draws(self._encode, images.device)
            )
            return forward_pass(self.model, images, part, self.tasks, encode)

    def _losses_at(self, clean: ForwardPass, images: Tensor, task: str) -> Tensor:
        """Loss of each sample at other images, by a pass that differs in these alone and leaves no trace."""
        attacked = [self.tasks[self.task_names.index(task)]]
        with keep_generators(images.device), unchanged_buffers(self.model):
            return TaskProblem(self.model, clean.views, attacked, encode=clean.encode).loss(images)

    def _finish_gradients(self) -> GradientStep | None:
        """Gradients into ``.grad``; None, and nothing there, for a batch that is to be left out."""
        try:
            step = self.engine.finish()
            self._skipped_in_a_row = 0
            return step
        except NonFiniteError as error:
            self._skipped_in_a_row += 1
            if self.skip_non_finite and self._skipped_in_a_row < MOST_SKIPPED:
                self.skipped += 1
                log.warning("Step %d is left out, %d so far: %s.", self.global_step, self.skipped, error)
                return None
            raise NonFiniteError(
                f"Training stopped at step {self.global_step} (epoch {self.current_epoch + 1}): {error}."
                f" The learning rate is {self.learning_rate:g}; a smaller optimizer.lr, a warm-up or engine.clip_norm"
                " usually helps."
            ) from None

    def _optimizer_step(self) -> None:
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        assert not isinstance(optimizer, list)
        assert isinstance(schedule, LRScheduler)
        optimizer.step()
        schedule.step()

    @property
    def learning_rate(self) -> float:
        """Of the first parameter group."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, Optimizer)
        return float(optimizer.param_groups[0]["lr"])

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The configured optimiser over all parameters, and its schedule."""
        optimizer = self._make_optimizer([p for p in self.model.parameters() if p.requires_grad])
        steps = steps_of_run(self.trainer, self.method.replays)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._make_schedule(optimizer, steps)}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the weights mean nothing without, as plain types and tensors."""
        checkpoint["gat_lightning"] = self.origin
        checkpoint["skipped"] = [self.skipped, self._skipped_in_a_row]
        checkpoint["weighting"] = self.engine.weighting.state()
        checkpoint["method"] = self.method.state()
        checkpoint["tasks"] = {task.name: task.state() for task in self.tasks}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give the tasks and the weighting their state back."""
        self.skipped, self._skipped_in_a_row = checkpoint.get("skipped", (0, 0))
        self.engine.weighting.load_state(checkpoint["weighting"])
        self.method.load_state(checkpoint.get("method", {}))
        for task in self.tasks:
            task.load_state(checkpoint["tasks"][task.name])

"""The LightningModule: a training step that reads like Algorithm 1 of the paper."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gat_lightning.attacks import Attack
from gat_lightning.augment import Augmentation, Identity
from gat_lightning.batch import Batch
from gat_lightning.data.sampler import JointBatchSampler, shard_of
from gat_lightning.errors import NonFiniteError
from gat_lightning.gradients import GradientEngine, GradientStep
from gat_lightning.methods import Method, WeightPerturbation
from gat_lightning.models.normalize import normalization_of
from gat_lightning.randomness import BatchGenerator, Shard, generator_for
from gat_lightning.tasks import Task
from gat_lightning.tasks.forward import representation
from gat_lightning.tasks.views import prepare_views
from gat_lightning.training.batch_statistics import check_parts
from gat_lightning.training.draws import StepDraws
from gat_lightning.training.extra_passes import check_second_pass, objective_sums, observe
from gat_lightning.training.optimizers import Optimization, checked_optimizer
from gat_lightning.training.passes import Passes
from gat_lightning.training.pseudo_labels import PseudoLabels
from gat_lightning.training.schedules import steps_of_run
from gat_lightning.training.traces import Traces
from gat_lightning.training.validation import ScoredModule, Scores

log = logging.getLogger(__name__)

MOST_SKIPPED = 10
"""Number of non-finite batches in a row that ends a training which leaves them out."""


class GATModule(ScoredModule):
    """Guided Adversarial Training of a multi-task model, with manual optimisation.

    Args:
        passes: runs the multi-task model on its tasks, and has the regularisation losses.
        method: the outer minimisation, which decides the objectives.
        attack: the inner maximisation, unless the method has one of its own.
        engine: gradients of the model's parameters, weighed and combined, with ``world_size=1``: objectives are shares
            of the joined batch's.
        optimization: the optimiser and its schedule.
        scores: what validation and test measure.
        attacked: the tasks whose loss the attack increases (Table 3); the target alone if there are none.
        separate_views: give each self-supervised task its own copy of the image, and the others the plain one.
        augment: the data's augmentation, of which a part may need the whole batch (CutMix).
        weight_perturbation: adversarial weights, at which gradients are taken; none if None.
        pseudo_labels: labels in place of the target's missing ones; none if None.
        skip_non_finite: leave out batches with a NaN or infinite objective instead of stopping; ten in a row stop.
        seed: of everything that is drawn in a step.
        origin: configuration and shape of the data, plain types, without which a checkpoint's weights mean nothing.

    Raises:
        ValueError: the method, the curvature or the weight perturbation does not fit these tasks, or the engine.
    """

    def __init__(
        self,
        passes: Passes,
        method: Method,
        attack: Attack,
        engine: GradientEngine,
        optimization: Optimization,
        scores: Scores,
        attacked: Sequence[Task] = (),
        separate_views: bool = False,
        augment: Augmentation | None = None,
        weight_perturbation: WeightPerturbation | None = None,
        pseudo_labels: PseudoLabels | None = None,
        skip_non_finite: bool = False,
        seed: int = 0,
        origin: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(passes.model, passes.tasks, scores, method.selection == "robust", passes.micro_batch, seed)
        self.automatic_optimization = False
        self.passes = passes
        self.method = method
        self.attack = method.attack or attack
        self.curvature = passes.curvature
        self.engine = engine
        self.optimization = optimization
        self.attacked_tasks = list(attacked) or self.tasks[:1]
        self.separate_views = separate_views
        self.augment = augment or Identity()
        self.weight_perturbation = weight_perturbation or WeightPerturbation(None)
        self.pseudo_labels = pseudo_labels or PseudoLabels()
        self.skip_non_finite = skip_non_finite
        self.origin = origin or {}
        self.skipped = self._skipped_in_a_row = 0
        self.draws = StepDraws()
        self.last_step: GradientStep | None = None
        self.method.check(self.tasks, self.attacked_tasks)
        self.curvature.check(self.task_names, engine.space, engine.solve_every)
        check_second_pass(engine.weighting, self.weight_perturbation)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Make what the model itself draws (dropout) follow from seed, epoch and step, each process for its images."""
        key = (self.seed, self.current_epoch, batch_idx, "model", batch.shard.offset)
        torch.manual_seed(generator_for(*key).initial_seed())

    def setup(self, stage: str) -> None:
        """Compile, in the process that trains; refuse a memory layout that torch cannot keep; get pseudo-labels."""
        self.passes.setup(self.trainer.strategy.root_device, stage == "fit")
        if stage == "fit":
            self.pseudo_labels.setup(self.trainer)

    def teardown(self, stage: str) -> None:
        """Leave torch's compiler as it was."""
        self.passes.teardown()

    def on_train_start(self) -> None:
        """Refuse batches that BatchNorm would fail on; tell the compiled passes the size of the usual batch."""
        self.draws.start(self.trainer.strategy.root_device)
        sampler = getattr(self.trainer.train_dataloader, "batch_sampler", None)
        if isinstance(sampler, JointBatchSampler):
            sizes = sampler.sizes[: int(self.trainer.num_training_batches)]
            check_parts(self.model, self.model.features.image, sizes, sampler.ranks, self.micro_batch)
            self.passes.compile_only(shard_of(max(sizes), sampler.rank, sampler.ranks).size)

    def on_train_end(self) -> None:
        """Forget the random numbers of the step that does not come."""
        self.draws.end()

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Step 2 of Algorithm 1 on one batch, by the paper's numbers; ``parts`` are its micro-batches."""
        draws = self._draws(batch.shard, batch_idx)
        batch = self.augment.at_step(self.pseudo_labels(self.passes.in_layout(batch)), draws, self.passes.target_losses)
        views = prepare_views(batch, self.tasks, draws, self.separate_views)  # 2.1: x <- f_t(x)
        parts = list(views.parts(self.micro_batch))
        for _ in self.method.replay(views, self.engine.steps):
            problems = [self.method.problem(self.model, part, self.tasks, self.attacked_tasks) for part in parts]
            perturbed = [  # 2.2: x̂ <- PGD(x, y_1, ε_step, ε, S)
                self.method.perturb(self.attack, problem, part, self._draws(part.shard, batch_idx)("attack"))
                for problem, part in zip(problems, parts, strict=True)
            ]
            step, before = self.engine.steps, Traces(self.model, self.method) if self.skip_non_finite else None
            try:
                sums = partial(objective_sums, self.passes, self.method, parts, perturbed)
                with self.weight_perturbation(self.model, sums):
                    for part, adversarial_images in zip(parts, perturbed, strict=True):
                        clean, adversarial = self.passes(part, adversarial_images, step)
                        losses = self.method.objectives(self.tasks, clean, adversarial)  # 2.3: l_x, l_x̂
                        losses += self.curvature(clean, self.task_names, self.passes.losses_at, step)  # 2.3: l^(reg)
                        self.engine.accumulate(losses, representation(clean, adversarial))
                        del clean, adversarial, losses  # and their graphs, before the next part needs the memory
                    self.last_step = self.engine.finish()  # 2.4: α <- MGDA(θ, l)
            except NonFiniteError as error:
                self._leave_out(error, before)
                continue
            self._skipped_in_a_row = 0
            self.optimizer.step()  # 2.5: θ <- θ - η Σ α_t ∇ l_t
            self.schedule.step()
            observe(self.engine, self.passes, self.method, parts, perturbed, step)

    def _draws(self, shard: Shard | None, batch_idx: int) -> Callable[[str], BatchGenerator]:
        """Makes the generator of a purpose within this step, for a part of the joined batch."""
        assert shard is not None
        return self.draws.generators(shard, (self.seed, self.current_epoch, batch_idx))

    def _leave_out(self, error: NonFiniteError, before: Traces | None) -> None:
        """Undo what a non-finite batch has changed.

        Raises:
            NonFiniteError: such batches are not left out, or this is the last of too many in a row.
        """
        self._skipped_in_a_row += 1
        if before is None or self._skipped_in_a_row >= MOST_SKIPPED:
            raise NonFiniteError(
                f"Training stopped at step {self.global_step} (epoch {self.current_epoch + 1}): {error}."
                f" The learning rate is {self.learning_rate:g}; a smaller optimizer.lr, a warm-up or engine.clip_norm"
                " usually helps."
            ) from None
        self.skipped += 1
        log.warning("Step %d is left out, %d so far: %s.", self.global_step, self.skipped, error)
        before.undo()
        self.last_step = None

    @property
    def optimizer(self) -> Optimizer | LightningOptimizer:
        """The optimiser, whose steps Lightning counts."""
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        return optimizer

    @property
    def schedule(self) -> LRScheduler:
        """The learning-rate schedule."""
        schedule = self.lr_schedulers()
        assert isinstance(schedule, LRScheduler)
        return schedule

    @property
    def learning_rate(self) -> float:
        """Of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def new_optimizer(self) -> Optimizer:
        """The configured optimiser over all trainable parameters.

        Raises:
            ValueError: it is none that this training can use, see :mod:`gat_lightning.training.optimizers`.
        """
        trainable = {name: each for name, each in self.model.named_parameters() if each.requires_grad}
        return checked_optimizer(self.optimization.optimizer, trainable)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The configured optimiser over all parameters, and its schedule."""
        optimizer = self.new_optimizer()
        steps = steps_of_run(self.trainer, self.method.replays)
        self.method.begin(steps)
        schedule = self.optimization.schedule(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the configuration and the states that go with the weights, as plain types and tensors."""
        checkpoint["gat_lightning"] = self.origin
        checkpoint["skipped"] = [self.skipped, self._skipped_in_a_row]
        checkpoint["engine"] = self.engine.state()
        checkpoint["weighting"] = self.engine.weighting.state()
        checkpoint["method"] = self.method.state()
        checkpoint["pseudo_labels"] = self.pseudo_labels.state()
        checkpoint["tasks"] = {task.name: task.state() for task in self.tasks}
        normalization = normalization_of(self.model)
        checkpoint["normalization"] = None if normalization is None else normalization._asdict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give the tasks, the method, the engine and the weighting their state back."""
        self.pseudo_labels.check_state(checkpoint.get("pseudo_labels", ""))
        self.skipped, self._skipped_in_a_row = checkpoint.get("skipped", (0, 0))
        self.engine.load_state(checkpoint.get("engine", {}))
        self.engine.weighting.load_state(checkpoint["weighting"])
        self.method.load_state(checkpoint.get("method", {}))
        for task in self.tasks:
            task.load_state(checkpoint["tasks"][task.name])

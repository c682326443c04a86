"""Our step: `GATModule.training_step` itself, without a trainer around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler

from benchmarks.timing import repeated
from benchmarks.work import EPS, STEP_SIZE, TASKS, Work, optimizer
from gat_lightning.attacks import PGD
from gat_lightning.batch import MISSING, Batch
from gat_lightning.curvature.terms import DEFAULT_STEP, Curvature
from gat_lightning.gradients import GradientEngine, GradientStep
from gat_lightning.methods import Madry, Method
from gat_lightning.training.module import GATModule
from gat_lightning.training.optimizers import Optimization
from gat_lightning.training.passes import Passes
from gat_lightning.training.validation import Scores
from gat_lightning.weighting import MGDA, Weighting


class Noise:
    """In place of an attack, for what a step costs after it: the images with a uniform perturbation."""

    name = "noise"

    def __call__(self, problem: Any, images: Tensor, generator: Any, in_range: bool = True) -> Tensor:
        """Perturb the images."""
        noise = 2 * generator.uniform(images.shape[1:], images.device).to(images.dtype) - 1
        return (images + EPS * noise).clamp(0, 1)


class _Standalone(GATModule):
    """The module with an optimiser and a schedule of its own, which a trainer would give it."""

    def start(self) -> None:
        self._optimizer = self.optimization.optimizer(self.model.parameters())
        self._schedule = self.optimization.schedule(self._optimizer, 1)

    def optimizers(self, use_pl_optimizer: bool = True) -> Optimizer:  # type: ignore[override]
        return self._optimizer

    def lr_schedulers(self) -> LRScheduler:
        return self._schedule


class Ours:
    """Clean and adversarial objectives of every task, curvature objectives, MGDA.

    Args:
        work: the work.
        derivative: of the curvature: ``exact``, ``finite_difference``, or ``off`` for no curvature.
        space: of the gradient engine.
        attack: whether there is one; else images are perturbed by noise.
        compiled: compile the encoder, for the passes where that is legal.
        channels_last: memory layout of images and convolutions.
        bf16: under autocast, as Lightning's ``bf16-mixed`` does it.
        tasks: names of the tasks, the target first.
        method: of the training; by default that of two objectives for each task.
        weighting: makes that of the objectives.
        solve_every: number of steps from one solve of the weighting to the next, and from one with curvature to the
            next.
        labelled: fraction of the images that have the target's label; the macro classes are missing with it.
        displacement: h of finite differences.
        scheme: of finite differences.
    """

    def __init__(
        self,
        work: Work,
        derivative: str = "exact",
        space: str = "parameters",
        attack: bool = True,
        compiled: bool = False,
        channels_last: bool = False,
        bf16: bool = False,
        tasks: Sequence[str] = TASKS,
        method: Method | None = None,
        weighting: Callable[[], Weighting] = MGDA,
        solve_every: int = 1,
        labelled: float = 1.0,
        displacement: float = DEFAULT_STEP,
        scheme: str = "forward",
    ) -> None:
        self._work = work
        self._labelled = round(labelled * work.batch)
        self._bf16 = bf16
        pgd: Any = PGD(
            eps=EPS, step_size=STEP_SIZE, steps=work.steps, random_start="uniform" if work.random_start else "none"
        )
        mode = "off" if derivative == "off" else "objective"
        kind = "exact" if derivative == "off" else derivative
        curvature = Curvature(mode, kind, step=displacement, scheme=scheme, every=solve_every)
        model, chosen = work.model(tasks), work.tasks(tasks)
        decoders = {task.name: model.decoder_parameters(task.name) for task in chosen}
        self.module = _Standalone(
            Passes(model, chosen, curvature, compiled=compiled, channels_last=channels_last),
            method or Madry("separate"),
            pgd if attack else Noise(),  # type: ignore[arg-type]
            GradientEngine(model.shared_parameters(), decoders, weighting(), space=space, solve_every=solve_every),
            Optimization(optimizer, lambda optimizer, steps: ConstantLR(optimizer, factor=1.0)),
            Scores({"pgd": pgd}, {"pgd": pgd}),
            seed=work.seed,
        )
        self.module.start()
        self.module.passes.setup(torch.device(work.device), training=True)

    def step(self, index: int) -> None:
        """One whole training step, optimiser included."""
        autocast = torch.autocast(self._work.device, torch.bfloat16) if self._bf16 else nullcontext()
        with autocast:
            self.module.training_step(self.batch(index), index)

    def batch(self, index: int) -> Batch:
        """What the step is given."""
        batch = self._work.data(index)
        for label in batch.labels.values():
            label[self._labelled :] = MISSING
        return batch

    @property
    def last(self) -> GradientStep:
        """What the last step computed."""
        assert self.module.last_step is not None
        return self.module.last_step

    def gradients(self, index: int) -> Tensor:
        """The K gradients of the shared parameters ``[K, P]``, from a step."""
        self.step(index)
        rows = self.module.engine._gradients._buffer  # the space keeps its buffer between steps
        return rows[: len(self.last.names)].clone()

    def norm(self) -> float:
        """Of the combined gradient of the last step."""
        return float(torch.cat([p.grad.flatten() for p in self.module.engine.shared if p.grad is not None]).norm())


class Repeated:
    """Several steps of ours as one, so that every round has the same steps of a cycle.

    Args:
        work: the work.
        count: number of steps.
        **settings: of :class:`Ours`.
    """

    def __init__(self, work: Work, count: int, **settings: Any) -> None:
        self._ours = Ours(work, **settings)
        self._count = count

    def step(self, index: int) -> None:
        """The steps of round ``index``."""
        repeated(self._ours.step, self._count)(index)

"""Free adversarial training: each batch is replayed, and the perturbation grows with the weights' own steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gat_lightning.attacks import Attack, parse_budget
from gat_lightning.attacks.norms import as_norm
from gat_lightning.attacks.problem import Problem
from gat_lightning.attacks.settings import at_least_one
from gat_lightning.distributed import sum_over_ranks
from gat_lightning.methods.adversarial import Adversarial
from gat_lightning.randomness import BatchGenerator
from gat_lightning.tasks import Task
from gat_lightning.tasks.forward import ForwardPass
from gat_lightning.tasks.views import Views


class Free(Adversarial):
    """One objective ``j/adv`` per task; ``replays`` steps on each batch, each moving the perturbation by ε and back.

    Shafahi et al., "Adversarial training for free!" (NeurIPS 2019), Algorithm 1. The perturbation begins at 0 and is
    carried from batch to batch by position. It follows the gradient of the attacked tasks' loss in the pass that also
    trains the weights, in train mode. A batch makes ``replays`` steps, so the paper divides the epochs by as much; the
    learning-rate schedule runs over all steps.

    Args:
        eps: radius of the ball in units of [0, 1] pixels, at least 0; a number or text such as ``8/255``.
        norm: ``Linf``, ``L2`` or ``L1``.
        replays: m of the paper, at least 1; 8 for its best result on CIFAR-10.

    Raises:
        UserError: a setting is out of its range, or a name is unknown.
    """

    def __init__(self, eps: float | str, norm: str = "Linf", replays: int = 8) -> None:
        self.eps, self.norm = parse_budget(eps), as_norm(norm)
        self.replays = at_least_one("replays", replays)
        self._perturbation: Tensor | None = None
        self._moved: Tensor | None = None

    def begin_replay(self, views: Views) -> None:
        """Make room for this batch's perturbations."""
        assert views.shard is not None
        total, shape = views.shard.total, views.images.shape[1:]
        old = self._perturbation
        if old is None or old.shape[1:] != shape:
            old = views.images.new_zeros(0, *shape)
        if len(old) < total:
            old = torch.cat([old.to(views.images), views.images.new_zeros(total - len(old), *shape)])
        self._perturbation = old.to(views.images)
        self._moved = torch.zeros_like(self._perturbation[:total])

    def perturb(self, attack: Attack, problem: Problem, views: Views, generator: BatchGenerator) -> Tensor:
        """The images with the perturbation of their positions, to be differentiated by."""
        return (views.images + self._of(views)).clamp(0, 1).detach().requires_grad_()

    def observe(self, adversarial: ForwardPass, attacked: Sequence[Task]) -> None:
        """Move this part's perturbation along the gradient of the attacked tasks' loss."""
        views, images = adversarial.views, adversarial.images
        assert views.shard is not None
        assert self._moved is not None
        loss = torch.stack([adversarial.losses[task.name].sum() for task in attacked]).sum()
        (gradient,) = torch.autograd.grad(loss, images, retain_graph=True)
        with torch.no_grad():
            moved = self._of(views) + self.eps * self.norm.steepest(gradient, images)
            rows = slice(views.shard.offset, views.shard.offset + views.shard.size)
            self._moved[rows] = self.norm.project(moved, self.eps)

    def end_replay(self) -> None:
        """Give every rank the perturbations of the joined batch: the next batch may deal positions out differently."""
        assert self._moved is not None
        assert self._perturbation is not None
        self._perturbation[: len(self._moved)] = sum_over_ranks(self._moved)

    def state(self) -> dict[str, Tensor]:
        """The perturbations."""
        return {} if self._perturbation is None else {"perturbation": self._perturbation}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what :meth:`state` gave."""
        self._perturbation = state.get("perturbation")

    def _of(self, views: Views) -> Tensor:
        assert views.shard is not None
        assert self._perturbation is not None
        return self._perturbation[views.shard.offset : views.shard.offset + views.shard.size]

"""Free adversarial training: replays each batch, and updates perturbation and weights together."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gat_lightning.attacks import Attack, Problem, as_norm, parse_budget
from gat_lightning.distributed import sum_over_ranks
from gat_lightning.gradients import Objective
from gat_lightning.methods.adversarial import Adversarial
from gat_lightning.methods.unlabeled import ConsistencyProblem
from gat_lightning.randomness import BatchGenerator
from gat_lightning.tasks import ForwardPass, OutputsProblem, Task, Views
from gat_lightning.validate import check_int


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
        SettingError: an argument is out of its range, or a name is unknown.
    """

    def __init__(self, eps: float | str, norm: str = "Linf", replays: int = 8) -> None:
        self.eps, self.norm = parse_budget(eps, "eps", 0), as_norm(norm)
        self.replays = check_int("replays", replays)
        self._perturbation: Tensor | None = None
        self._moved: Tensor | None = None
        self._problems: dict[int, Problem] = {}

    def replay(self, views: Views, step: int = 0) -> Iterator[None]:
        """Yield for each step, and move the perturbations after it.

        Every rank gets those of the joined batch, since the next batch may deal positions out differently.
        """
        assert views.shard is not None
        kept, total, shape = self._perturbation, views.shard.total, views.images.shape[1:]
        if kept is None or kept.shape[1:] != shape:
            kept = views.images.new_zeros(0, *shape)
        missing = views.images.new_zeros(max(total - len(kept), 0), *shape)
        self._perturbation = torch.cat([kept.to(views.images), missing])
        self._problems = {}
        for _ in range(self.replays):
            self._moved = torch.zeros_like(self._perturbation[:total])
            yield
            if self._moved is not None:
                self._perturbation[:total] = sum_over_ranks(self._moved)

    def perturb(self, attack: Attack, problem: Problem, views: Views, generator: BatchGenerator) -> Tensor:
        """The images with the perturbation of their positions, to be differentiated by.

        The gradient of the problem's loss, the attacked tasks', moves the perturbation. Images that begin at a Gaussian
        point have a Gaussian perturbation added to that.
        """
        assert views.shard is not None
        self._problems[views.shard.offset] = problem
        perturbation = self._of(views)
        if (gaussian := getattr(problem, "gaussian", None)) is not None:
            moved = perturbation + self.norm.random(views.images, self.eps, "gaussian", generator)
            perturbation = torch.where(gaussian[:, None, None, None], self.norm.project(moved, self.eps), perturbation)
        return (views.images + perturbation).clamp(0, 1).detach().requires_grad_()

    def objectives(
        self, tasks: Sequence[Task], clean: ForwardPass | None, adversarial: ForwardPass | None
    ) -> list[Objective]:
        """The mean adversarial loss of each task; the pass of a step also moves this part's perturbation.

        That is one on images that :meth:`perturb` has made, which require a gradient.
        """
        assert adversarial is not None
        if adversarial.images.requires_grad:
            self._move(clean, adversarial)
        return super().objectives(tasks, clean, adversarial)

    def _move(self, clean: ForwardPass | None, adversarial: ForwardPass) -> None:
        views, images = adversarial.views, adversarial.images
        assert views.shard is not None
        assert self._moved is not None
        problem = self._problems[views.shard.offset]
        if isinstance(problem, ConsistencyProblem):
            assert clean is not None
            problem.refer(clean.outputs)
        assert isinstance(problem, OutputsProblem)
        loss = problem.loss_of(adversarial.outputs).sum()
        (gradient,) = torch.autograd.grad(loss, images, retain_graph=True)
        with torch.no_grad():
            moved = self._of(views) + self.eps * self.norm.steepest(gradient, images)
            rows = slice(views.shard.offset, views.shard.offset + views.shard.size)
            self._moved[rows] = self.norm.project(moved, self.eps)

    def state(self) -> dict[str, Tensor]:
        """The perturbations."""
        return {} if self._perturbation is None else {"perturbation": self._perturbation}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what :meth:`state` gave, and forget a step that has begun."""
        self._perturbation, self._moved = state.get("perturbation"), None

    def _of(self, views: Views) -> Tensor:
        assert views.shard is not None
        assert self._perturbation is not None
        return self._perturbation[views.shard.offset : views.shard.offset + views.shard.size]

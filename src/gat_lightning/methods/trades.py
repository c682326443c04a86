"""TRADES: the loss on clean images plus the divergence of clean and adversarial outputs."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from gat_lightning.attacks import PGD, IterativeSettings, Problem
from gat_lightning.methods.paired import Paired
from gat_lightning.models import MultiTaskModel
from gat_lightning.tasks import ForwardPass, Task, TaskProblem, Views
from gat_lightning.validate import check_real


class Trades(Paired):
    """Clean loss and β times the divergence between clean and adversarial outputs, for every task.

    Zhang et al., "Theoretically principled trade-off between robustness and accuracy" (ICML 2019), eq. 5 and
    Algorithm 1: the divergence is that of the probabilities, KL(f(x) || f(x')), and adversarial images maximise it from
    a Gaussian start. Tasks without classes (age, dense ones) have the mean absolute difference of their outputs.

    β is *inside* the objective, so a weighting that evens out the lengths of gradients (MGDA, IMTL) counteracts it
    under ``pairing="separate"``; under ``combined`` and under ``weighting=equal`` it acts as published.

    Args:
        beta: β, at least 0; 6 in the paper's experiments.
        pairing: ``combined``: one objective ``j/clean+kl`` per task, their sum; ``separate``: ``j/clean`` and ``j/kl``.
        **settings: ``norm``, ``eps``, ``step_size``, ``steps`` and ``mode`` of :class:`~gat_lightning.attacks.pgd.PGD`.

    Raises:
        SettingError: an argument is out of its range, or a name is unknown.
    """

    views = ("clean", "kl")
    has_divergence = True

    def __init__(self, *, beta: float = 6.0, pairing: str = "combined", **settings: Unpack[IterativeSettings]) -> None:
        super().__init__(pairing)
        self.beta = check_real("beta", beta, 0, example=6)
        self.attack = PGD(random_start="gaussian", **settings)

    def losses(self, task: Task, clean: ForwardPass, adversarial: ForwardPass) -> tuple[Tensor, Tensor]:
        """The clean loss, and the divergence times β; the gradient flows through both passes."""
        divergence = task.divergence(clean.outputs[task.name], adversarial.outputs[task.name])
        return clean.mean_loss(task.name), self.beta * adversarial.mean(task.name, divergence)

    def problem(self, model: MultiTaskModel, views: Views, tasks: Sequence[Task], attacked: Sequence[Task]) -> Problem:
        """The divergence of the attacked tasks' outputs from those on clean images."""
        return DivergenceProblem(model, views, attacked)


class DivergenceProblem:
    """How far perturbed images move the outputs of tasks from those on the images of ``views``.

    Args:
        model: the multi-task model.
        views: the prepared batch.
        tasks: whose divergences are added.
    """

    def __init__(self, model: MultiTaskModel, views: Views, tasks: Sequence[Task]) -> None:
        self.module: nn.Module | None = model
        self.tasks: Sequence[Task] = tasks
        self._images = views.images
        self._problem = TaskProblem(model, views, tasks)
        self._reference: Mapping[str, Tensor] | None = None

    def loss(self, images: Tensor) -> Tensor:
        """Sum of the tasks' divergences for each sample, ``[B]``."""
        self.reference()  # before the pass on these images
        return self.loss_of(self._problem.outputs(images))

    def loss_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """That of images with these outputs."""
        reference = self.reference()
        return torch.stack(
            [task.attack_divergence(reference[task.name], outputs[task.name]) for task in self.tasks]
        ).sum(0)

    def refer(self, outputs: Mapping[str, Tensor]) -> None:
        """Take these outputs for those on clean images, which need no pass of their own then."""
        self._reference = {task.name: outputs[task.name].detach() for task in self.tasks}

    def refer_to(self, rows: Tensor) -> None:
        """Get the outputs on the clean images of these rows ``[n]`` alone; those of the others are 0 then.

        In eval mode, and for tasks that see the plain images.
        """
        with torch.no_grad():
            outputs = self._problem.outputs(self._images[rows])
        self._reference = {
            name: output.new_zeros(len(self._images), *output.shape[1:]).index_copy(0, rows, output)
            for name, output in outputs.items()
        }

    def reference(self) -> Mapping[str, Tensor]:
        """The outputs on clean images, in the mode in which the model is when they are first asked for."""
        if self._reference is None:
            with torch.no_grad():
                self._reference = self._problem.outputs(self._images)
        return self._reference

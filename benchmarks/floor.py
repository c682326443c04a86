"""The passes that a step cannot do without, and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.work import TASKS, Work


class Floor:
    """A fixed list of passes through the model, the same images in each.

    10 forwards (PGD's steps) with the target's input gradient, in eval mode and without parameter gradients; 2 forwards
    of all tasks; 2M parameter gradients; M input gradients with a graph; M - 1 double backwards, of inner products of
    those.

    Args:
        work: the work.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self.model = work.model()
        self._shared = self.model.shared_parameters()
        self._heads = {task: self.model.decoder_parameters(task) for task in TASKS}

    def step(self, index: int) -> None:
        """All passes once."""
        batch = self._work.data(index)
        labels = {**batch.labels, "rotation": self._work.turns(index)}
        self._input_gradients(batch.images, labels["class"])
        clean_images = batch.images.clone().requires_grad_()
        clean, adversarial = self.model(clean_images), self.model(batch.images)
        losses = {task: cross_entropy(clean[task], labels[task]) for task in TASKS}
        for task in TASKS:
            self._parameter_gradient(losses[task], task)
            self._parameter_gradient(cross_entropy(adversarial[task], labels[task]), task)
        gradients = [
            torch.autograd.grad(losses[task], clean_images, create_graph=True, retain_graph=True)[0] for task in TASKS
        ]
        for j in range(1, len(TASKS)):
            term = torch.stack([(gradients[j] * gradients[k]).sum() for k in range(j)]).sum()
            torch.autograd.grad(term, self._shared, retain_graph=j + 1 < len(TASKS), materialize_grads=True)

    def _parameter_gradient(self, loss: Tensor, task: str) -> None:
        torch.autograd.grad(loss, [*self._shared, *self._heads[task]], retain_graph=True)

    def _input_gradients(self, images: Tensor, label: Tensor) -> None:
        self.model.eval().requires_grad_(False)
        for _ in range(self._work.steps):
            x = images.detach().requires_grad_()
            torch.autograd.grad(cross_entropy(self.model(x, ["class"])["class"], label), x)
        self.model.train().requires_grad_(True)

"""The target of an evaluation: a classifier and the task of its output."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gat_lightning.attacks import Attack, ClassifierProblem, LossProblem, Problem, RankingProblem
from gat_lightning.batch import Batch, decide, is_finite
from gat_lightning.errors import UserError
from gat_lightning.evaluation.outcomes import Outcomes
from gat_lightning.models import MultiTaskModel
from gat_lightning.randomness import BatchGenerator
from gat_lightning.tasks import Task
from gat_lightning.tasks.forward import scored_problem
from gat_lightning.tasks.views import views_of

_FLOAT32 = (torch.finfo(torch.float32).min, torch.finfo(torch.float32).max)


class Target:
    """Target of an evaluation: scores a classifier on its task, and defines the problem of attacks.

    Args:
        model: images ``[B, C, H, W]`` in [0, 1] -> output of the task: logits ``[B, K]``, one logit ``[B, 1]`` of a
            binary task, or a value ``[B, 1]`` of a regression. It is set to eval mode.
        task: the task, after its setup.
        multitask: model with all heads, if other tasks are attacked.
        attacked: tasks whose summed loss attacks increase; only the target if empty. Metrics are always the target's,
            on images that no task transforms. A self-supervised task under attack sees f_t of the image.

    Raises:
        UserError: the task is dense, or tasks are attacked that the model has no heads for.
    """

    def __init__(
        self, model: nn.Module, task: Task, multitask: MultiTaskModel | None = None, attacked: Sequence[Task] = ()
    ) -> None:
        if task.kind == "dense":
            raise UserError(f"The target '{task.name}' is an image, for which no robustness is defined")
        self.model, self.task = model.eval(), task
        self.attacked = [] if [each.name for each in attacked] == [task.name] else list(attacked)
        if self.attacked and multitask is None:
            raise UserError("attack.tasks: this model has the target's head alone; set attack.tasks=target")
        self._multitask = None if multitask is None else multitask.eval()

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return next((tensor.device for tensor in self.model.parameters()), torch.device("cpu"))

    @property
    def decides(self) -> bool:
        """Whether the target decides between classes."""
        return self.task.kind != "regression" and not self.attacked

    def why_not(self, attack: Attack) -> str | None:
        """Reason why an attack is undefined for this target; None if it is defined."""
        if self.decides or not attack.needs_decision:
            return None
        what = "a regression" if self.task.kind == "regression" else "attack.tasks other than target"
        return f"{attack.name} is not defined for {what}: it attacks a decision between classes"

    def problem(self, batch: Batch, generators: Callable[[str], BatchGenerator]) -> Problem:
        """The inner maximisation for a batch whose images all have the target's label.

        Args:
            batch: on the model's device.
            generators: returns the generator of a purpose, for labels that attacked tasks draw.
        """
        labels = batch.labels[self.task.name]
        if self.attacked:
            assert self._multitask is not None
            views = views_of(batch, self.attacked, generators, separate=True)
            return scored_problem(self._multitask, views, self.task, self.attacked)
        if self.task.kind == "multiclass":
            return ClassifierProblem(self.model, labels, self.task.attack_loss)
        if self.task.kind == "binary":
            return RankingProblem(self.model, labels)
        return LossProblem(lambda images: self.task.attack_loss(self.model(images), labels), self.model)

    @torch.no_grad()
    def draws_random_numbers(self, images: Tensor) -> bool:
        """Whether the model gives other outputs, beyond rounding, when it sees the same images again."""
        first, second = self.model(images), self.model(images)
        scale = float(first.nan_to_num(0, 0, 0).abs().max())
        return not torch.allclose(first, second, rtol=1e-3, atol=1e-3 * scale, equal_nan=True)

    @torch.no_grad()
    def outcomes(self, images: Tensor, labels: Tensor) -> Outcomes:
        """Outcomes of images ``[B, C, H, W]``, all labelled; the loss is that of the label without smoothing."""
        output = self.model(images)
        loss = self.task.attack_loss(output, labels)
        if self.task.kind == "multiclass":
            own = labels[:, None]
            score = (output.gather(1, own) - output.scatter(1, own, -torch.inf).amax(1, keepdim=True)).squeeze(1)
        else:
            score = output.reshape(len(images)) * self.task.scale
        score = score.float().clamp(*_FLOAT32).where(is_finite(output), torch.nan)
        prediction = score if self.task.kind == "regression" else decide(output)
        correct = torch.zeros_like(labels, dtype=torch.bool) if self.task.kind == "regression" else prediction == labels
        return Outcomes(
            prediction.cpu().numpy(),
            correct.cpu().numpy(),
            loss.float().cpu().numpy().astype(np.float32),
            score.cpu().numpy(),
        )

"""Robustness from images without the target's label: outputs on them that an attack does not change."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from gat_lightning.attacks import Attack, Problem
from gat_lightning.attacks.losses import DecisionLoss
from gat_lightning.batch import has_label
from gat_lightning.gradients.objectives import Objective
from gat_lightning.methods.base import Method
from gat_lightning.methods.trades import DivergenceProblem
from gat_lightning.models import MultiTaskModel
from gat_lightning.randomness import BatchGenerator
from gat_lightning.tasks import DecisionProblem, ForwardPass, OutputsProblem, Task, TaskProblem, Views
from gat_lightning.tasks.views import UNLABELLED
from gat_lightning.validate import check_option, check_real
from gat_lightning.weighting.objective_names import ObjectiveName

IMAGES = ("missing", "all")
"""Values of ``unlabeled.images``."""


class Consistency(Method):
    """A method with one objective more, ``TARGET/consistency``: the divergence of the target's outputs on x and x̂.

    Alayrac et al., "Are labels required for improving adversarial robustness?" (NeurIPS 2019), eq. 6 (UAT-OT). The
    divergence KL(f(x) || f(x̂)) is that of :class:`~gat_lightning.methods.trades.Trades`: of the two classes for a
    binary target, the absolute difference for a number. Its mean is over the images of the joined batch that have no
    label of the target. For these x̂ maximises the divergence from a Gaussian start, for all others the method's loss,
    in one attack on the batch. Images with a teacher's label (``unlabeled.mode=both``) take part too, under TRADES as
    well; each image has one x̂, and theirs is that of a labelled image, which maximises the loss of that label.

    The objective is not weighed, since a minimum-norm point would give most of the weight to it while it is small: its
    weight is ``coefficient`` times the ramp times the sum of the weights that the target's adversarial objectives get
    in the step. Under ``weighting=equal`` the step is therefore that of the sum of all objectives, with ``coefficient``
    times the ramp before this one. Decoders that get unit weights under an adaptive weighting get this objective with
    ``coefficient`` times the ramp, once for each of the target's adversarial objectives.

    Args:
        method: with adversarial images.
        coefficient: at the end of the ramp, at least 0.
        ramp: part of the training's steps in which the coefficient grows linearly from 0, in [0, 1].
        detach: whether no gradient flows through the outputs on x.
        images: ``missing``: those without a label of the target; ``all``: the labelled ones too, unless the divergence
            of their outputs is part of the method's own objectives (TRADES).

    Raises:
        SettingError: an argument is out of its range.
        ValueError: the method has no adversarial images.
    """

    def __init__(
        self,
        method: Method,
        coefficient: float = 3.0,
        ramp: float = 0.25,
        detach: bool = False,
        images: str = "missing",
    ) -> None:
        self.coefficient = check_real("coefficient", coefficient, 0, example=3)
        self.ramp = check_real("ramp", ramp, 0, 1, example=0.25)
        self.detach = detach
        self._all = check_option("images", images, IMAGES) == "all" and not method.has_divergence
        if not method.needs_adversarial:
            raise ValueError(
                f"{type(method).__name__} makes no adversarial images, whose outputs consistency compares: use another"
                " method, such as Madry."
            )
        self.method = method
        self.selection, self.attack, self.replays = method.selection, method.attack, method.replays
        self.needs_classes, self.largest_fall = method.needs_classes, method.largest_fall
        self._steps, self._risen = 0, 1.0

    def begin(self, steps: int) -> None:
        """Learn how long the ramp is."""
        self._steps = steps
        self.method.begin(steps)

    def replay(self, views: Views, step: int = 0) -> Iterator[None]:
        """Yield for each step of the method, with the ramp at it."""
        for number, _ in enumerate(self.method.replay(views, step), step):
            length = self.ramp * self._steps
            self._risen = min(number / length, 1.0) if length else 1.0
            yield

    def check(self, tasks: Sequence[Task], attacked: Sequence[Task]) -> None:
        """Called before training.

        Raises:
            ValueError: the method is not defined for these tasks.
        """
        self.method.check(tasks, attacked)

    def attacked(self, tasks: Sequence[Task], chosen: Sequence[Task]) -> Sequence[Task]:
        """Those of the method."""
        return self.method.attacked(tasks, chosen)

    def problem(self, model: MultiTaskModel, views: Views, tasks: Sequence[Task], attacked: Sequence[Task]) -> Problem:
        """The method's, with the divergence in place of the loss of images without the target's label.

        Raises:
            ValueError: the method's own does not say its loss of outputs.
        """
        own = self.method.problem(model, views, tasks, attacked)
        if not isinstance(own, OutputsProblem):
            raise ValueError(
                f"Consistency needs a gat_lightning.tasks.OutputsProblem, whose loss follows from outputs of a pass,"
                f" and {type(self.method).__name__} has a {type(own).__name__}: add tasks and loss_of to it."
            )
        if isinstance(own, DecisionProblem):
            return _WithDecision(own, model, views, tasks[0])
        if isinstance(own, TaskProblem):
            return _WithOtherLosses(own, model, views, tasks[0])
        return ConsistencyProblem(own, model, views, tasks[0])

    def perturb(self, attack: Attack, problem: Problem, views: Views, generator: BatchGenerator) -> Tensor | None:
        """Adversarial images as the method makes them."""
        return self.method.perturb(attack, problem, views, generator)

    def objectives(
        self, tasks: Sequence[Task], clean: ForwardPass | None, adversarial: ForwardPass | None
    ) -> list[Objective]:
        """Those of the method, then ``TARGET/consistency``."""
        assert clean is not None
        assert adversarial is not None
        found = self.method.objectives(tasks, clean, adversarial)
        target, views = tasks[0], adversarial.views
        before, after = clean.outputs[target.name], adversarial.outputs[target.name]
        divergence = target.divergence(before.detach() if self.detach else before, after)
        (name,) = self.unweighed_names(target.name)
        weight, follows = self.coefficient * self._risen, self.method.adversarial_names(tasks)
        loss = self._mean(divergence, views)
        return [*found, Objective(name, target.name, loss, weight=weight, follows=follows)]

    def _mean(self, values: Tensor, views: Views) -> Tensor:
        """This part's share of the mean of ``[B]`` over the images of the joined batch that take part."""
        assert views.shard is not None
        if self._all:
            return values.sum() / views.shard.total
        assert views.unlabelled is not None
        return torch.where(views.unlabelled, values, 0.0).sum() / views.counts[frozenset((UNLABELLED,))]

    def names(self, tasks: Sequence[str]) -> list[str]:
        """Those of the method, which are the ones that the weighting weighs."""
        return self.method.names(tasks)

    def unweighed_names(self, target: str) -> list[str]:
        """``TARGET/consistency``."""
        return [str(ObjectiveName(target, "consistency"))]

    def state(self) -> dict[str, Tensor]:
        """The method's."""
        return self.method.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what :meth:`state` gave."""
        self.method.load_state(state)


class ConsistencyProblem:
    """The problem of a method, but for images without the target's label the divergence of the target's outputs.

    Both come from one pass.

    Args:
        problem: of the method.
        model: the multi-task model.
        views: the prepared batch.
        target: the target task.

    Attributes:
        tasks: whose outputs the loss needs.
        gaussian: the images without the target's label, bool ``[B]``.
    """

    def __init__(self, problem: OutputsProblem, model: MultiTaskModel, views: Views, target: Task) -> None:
        self.module: nn.Module | None = model
        self.gaussian = ~has_label(views.labels[target.name])
        self.problem = problem
        self._divergence = DivergenceProblem(model, views, [target])
        others = [task for task in problem.tasks if task is not target]
        self.tasks = [target, *others]
        self._joined = TaskProblem(model, views, self.tasks)
        self._images, self._model, self._referred = views.images, model, False
        known = self.gaussian.device.type == "cpu" and target.name not in views.own  # a GPU would be waited for
        self._rows = self.gaussian.nonzero().flatten() if known else None

    def refer(self, outputs: Mapping[str, Tensor]) -> None:
        """Take these outputs of the tasks for those on clean images, which need no pass of their own then."""
        self._referred = True
        self._divergence.refer(outputs)
        if isinstance(self.problem, DivergenceProblem):
            self.problem.refer(outputs)

    def loss(self, images: Tensor) -> Tensor:
        """Loss of each sample, ``[B]``."""
        return self.loss_of(self._outputs(images))

    def loss_of(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """That of images with these outputs."""
        return self._joint(outputs, self.problem.loss_of(outputs))

    def _joint(self, outputs: Mapping[str, Tensor], own: Tensor) -> Tensor:
        """The divergence where the label is missing, and the method's ``own`` loss elsewhere, ``[B]``."""
        if self._rows is not None and not len(self._rows):
            return own
        return torch.where(self.gaussian, self._divergence.loss_of(outputs), own)

    def _outputs(self, images: Tensor) -> Mapping[str, Tensor]:
        if not self._referred:  # here, so that the model is in the mode of the attack
            self._refer()
        return self._joined.outputs(images)

    def _refer(self) -> None:
        """Get the outputs on clean images: of all of them, or where no other one matters of those without a label."""
        self._referred = True
        if isinstance(self.problem, DivergenceProblem):
            with torch.no_grad():
                self.refer(self._joined.outputs(self._images))
        elif self._rows is None or self._model.training:
            self._divergence.reference()
        elif len(self._rows):
            self._divergence.refer_to(self._rows)


class _WithOtherLosses(ConsistencyProblem):
    problem: TaskProblem

    def decision_loss(self, images: Tensor, loss: DecisionLoss) -> Tensor:
        """Another loss than the tasks' own for labelled samples, and the divergence for the others, ``[B]``."""
        outputs = self._outputs(images)
        labelled = self.problem.decision_loss_of(outputs, loss)
        return self._joint(outputs, labelled)


class _WithDecision(_WithOtherLosses):
    problem: DecisionProblem

    def success(self, images: Tensor) -> Tensor:
        """Which images are misclassified, bool ``[B]``; never one without a label."""
        return self.problem.success(images)

"""Base class of training methods: the outer minimisation, which decides the objectives of a step."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from torch import Tensor

from gat_lightning.attacks import Attack, Problem
from gat_lightning.gradients.objectives import Objective
from gat_lightning.models import MultiTaskModel
from gat_lightning.randomness import BatchGenerator
from gat_lightning.tasks import ForwardPass, Task, TaskProblem, Views
from gat_lightning.weighting.objective_names import ObjectiveName


class Method(ABC):
    """Makes adversarial images, and turns the losses of a step's forward passes into objectives.

    Attributes:
        needs_clean: whether the clean images go through the model.
        needs_adversarial: whether adversarial images are made and go through the model.
        selection: the validation view, ``clean`` or ``robust``, whose score chooses the best checkpoint.
        attack: the inner maximisation, where the method prescribes one; None for the configured one.
        replays: steps that are made of one batch.
        needs_classes: whether the labels of a task with classes have to be classes, and cannot be probabilities.
        has_divergence: whether the divergence of clean and adversarial outputs on labelled images is part of its
            objectives.
        largest_fall: of the robust validation accuracy from one validation to the next, in (0, 1), above which training
            stops with the weights before; None where nothing is watched.
    """

    needs_clean: bool = True
    needs_adversarial: bool = True
    selection: str = "robust"
    attack: Attack | None = None
    replays: int = 1
    needs_classes: bool = False
    has_divergence: bool = False
    largest_fall: float | None = None

    @abstractmethod
    def objectives(
        self, tasks: Sequence[Task], clean: ForwardPass | None, adversarial: ForwardPass | None
    ) -> list[Objective]:
        """The objectives in a stable order: that of ``tasks``, clean before adversarial.

        Args:
            tasks: the target first.
            clean: forward pass on clean images, present where :attr:`needs_clean`.
            adversarial: forward pass on adversarial images, present where :attr:`needs_adversarial`.
        """

    @abstractmethod
    def names(self, tasks: Sequence[str]) -> list[str]:
        """Names of the objectives of these tasks, before any step is made."""

    def unweighed_names(self, target: str) -> list[str]:
        """Names of the objectives that are added to the weighed ones, before any step is made."""
        return []

    def adversarial_names(self, tasks: Sequence[Task]) -> tuple[str, ...]:
        """Names of the target's objectives that are taken of adversarial images; the target is the first task."""
        names = self.names([task.name for task in tasks])
        parsed = {name: ObjectiveName.parse(name) for name in names}
        return tuple(name for name, each in parsed.items() if each.task == tasks[0].name and each.is_adversarial)

    def check(self, tasks: Sequence[Task], attacked: Sequence[Task]) -> None:  # noqa: B027
        """Called before training.

        Args:
            tasks: the target first.
            attacked: those whose loss the attack increases.

        Raises:
            ValueError: the method is not defined for these tasks.
        """

    def problem(self, model: MultiTaskModel, views: Views, tasks: Sequence[Task], attacked: Sequence[Task]) -> Problem:
        """The inner maximisation: the summed losses of the attacked tasks, unless the method has one of its own."""
        return TaskProblem(model, views, attacked)

    def attacked(self, tasks: Sequence[Task], chosen: Sequence[Task]) -> Sequence[Task]:
        """The tasks whose losses :meth:`problem` adds up: the chosen ones, unless the method prescribes others."""
        return chosen

    def begin(self, steps: int) -> None:  # noqa: B027
        """Called before training, and before it goes on, with the number of steps of the whole training."""

    def replay(self, views: Views, step: int = 0) -> Iterator[None]:
        """Yield once for each step on a batch, :attr:`replays` times, on every rank alike.

        Args:
            views: the prepared batch.
            step: number of steps before it.
        """
        yield

    def perturb(self, attack: Attack, problem: Problem, views: Views, generator: BatchGenerator) -> Tensor | None:
        """Adversarial images for a part of a batch, by one call of the attack unless the method does it differently.

        None for a method without adversarial images.
        """
        return attack(problem, views.images, generator, in_range=views.in_range)

    def state(self) -> dict[str, Tensor]:
        """Tensors that a checkpoint keeps."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:  # noqa: B027
        """Take back what :meth:`state` gave."""

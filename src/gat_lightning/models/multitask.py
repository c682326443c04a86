"""Multi-task models from any classifier: one encoder, one decoder per task (Algorithm 1, steps 1 and 3)."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gat_lightning.info import DataInfo
from gat_lightning.models.encoder import cut
from gat_lightning.models.features import FeatureInfo, Features, PooledDecoder
from gat_lightning.nearest import did_you_mean, nearest


class Attachable(Protocol):
    """What a model must know of a task; every :class:`~gat_lightning.tasks.base.Task` fits."""

    name: str

    def setup(self, data: DataInfo) -> None:
        """Learn the image's shape, the number of classes and the like."""

    def decoder(self, features: FeatureInfo) -> nn.Module:
        """A new head, called with :class:`Features`."""


class MultiTaskModel(nn.Module):
    """A classifier's trunk shared by its own task and by auxiliary tasks.

    Ghamizi et al. 2023, Algorithm 1: step 1 attaches a decoder per auxiliary task at the penultimate layer
    (:meth:`attach`), step 3 keeps the target task alone (:meth:`single_task`).

    The classifier is copied, never changed. Its trunk is under ``encoder``, its last linear layer under
    ``decoders[target]``.

    Args:
        classifier: takes ``[B, C, H, W]`` in [0, 1] and returns the output ``[B, K]`` of its last ``nn.Linear``: ours,
            torchvision's, timm's or any other.
        target: name of the classifier's own task.
        image: ``(C, H, W)``.
        tasks: auxiliary tasks, after their ``setup``.
        target_classes: outputs that the target task needs; not checked if None.
        stages: names of the submodules whose outputs dense tasks get, from fine to coarse; None to look for them. The
            stages of a classifier with a method ``features(x) -> Features`` are its own where none are named.

    Shape:
        ``[B, C, H, W]`` -> ``{task: output}``; the target's output is ``[B, K]``.

    Raises:
        ValueError: the classifier cannot be cut (see :func:`~gat_lightning.models.encoder.cut`), has another number of
            outputs than the target needs, or a task's name is taken or cannot be used.
    """

    def __init__(
        self,
        classifier: nn.Module,
        target: str,
        image: tuple[int, int, int],
        tasks: Iterable[Attachable] = (),
        *,
        target_classes: int | None = None,
        stages: Sequence[str] | None = (),
    ) -> None:
        super().__init__()
        self.encoder, head, self._features = cut(classifier, image, stages)
        if target_classes is not None and head.out_features != target_classes:
            name = type(classifier).__name__
            raise ValueError(f"{name} has {head.out_features} outputs, but task {target!r} needs {target_classes}")
        self._target = target
        self.decoders = nn.ModuleDict()
        self._add(target, PooledDecoder(head))
        for task in tasks:
            self.attach(task)

    @property
    def target(self) -> str:
        """Name of the classifier's own task."""
        return self._target

    @property
    def features(self) -> FeatureInfo:
        """Shapes that decoders get."""
        return self._features

    def attach(self, task: Attachable) -> None:
        """Add the decoder of an auxiliary task, after its ``setup``, on the device and in the type of the target's.

        Raises:
            ValueError: the name is taken or cannot be used, or the task cannot work with these features or has not been
                set up.
        """
        if not getattr(task, "is_set_up", True):
            raise ValueError(
                f"The task {task.name!r} has not been set up: call task.setup(data.info) before MultiTaskModel(...) and"
                " attach(task), or use attach_tasks(model, tasks, image=(C, H, W)), which does it."
            )
        reference = next(self.decoders[self._target].parameters())
        self._add(task.name, task.decoder(self._features).to(reference).train(self.training))

    def encode(self, x: Tensor) -> Features:
        """Features of images ``[B, C, H, W]`` in [0, 1]."""
        return self.encoder(x)

    def encode_eagerly(self, x: Tensor) -> Features:
        """The same for a double backward, which can go through neither a compiled encoder nor fused attention."""
        with sdpa_kernel(SDPBackend.MATH):
            return self.encoder.forward(x)

    def decode(self, features: Features, tasks: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Outputs of the named tasks' decoders, or of all, in this order; no other decoder runs.

        Raises:
            ValueError: the model has no such task.
        """
        return {task: self._decoder(task)(features) for task in (self.decoders if tasks is None else tasks)}

    def forward(self, x: Tensor, tasks: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Outputs of the named tasks, or of all, for images ``[B, C, H, W]`` in [0, 1]."""
        return self.decode(self.encode(x), tasks)

    def shared_parameters(self) -> list[nn.Parameter]:
        """Trainable parameters θ^s of the encoder."""
        return [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]

    def decoder_parameters(self, task: str) -> list[nn.Parameter]:
        """Trainable parameters θ^t of one task's decoder.

        Raises:
            ValueError: the model has no such task.
        """
        return [parameter for parameter in self._decoder(task).parameters() if parameter.requires_grad]

    def single_task(self) -> nn.Module:
        """The target's classifier: class, architecture and ``state_dict`` keys of the original, today's parameters.

        Returns:
            An independent copy, in the modes (train or eval) that its modules have here; for the same images its
            output is ``self(x)[self.target]``.
        """
        return self.encoder.with_head(self.decoders[self._target].get_submodule("head"))

    def _decoder(self, task: str) -> nn.Module:
        if isinstance(task, str) and task in self.decoders:
            return self.decoders[task]
        raise ValueError(
            f"The model has no task {task!r}, but {', '.join(self.decoders)}: name some of these, in a list, or attach"
            f" it{did_you_mean(nearest(task, self.decoders), otherwise='.')}"
        )

    def _add(self, name: str, decoder: nn.Module) -> None:
        if name in self.decoders:
            raise ValueError(f"Two tasks are called {name!r}; the model has {', '.join(self.decoders)}.")
        if not name or "." in name or hasattr(self.decoders, name):
            raise ValueError(f"A task cannot be called {name!r}: PyTorch does not accept it as a module's name.")
        self.decoders[name] = decoder

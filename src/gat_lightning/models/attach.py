"""Auxiliary tasks for existing classifiers: ours, torchvision's, timm's or any other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from gat_lightning.errors import UserError
from gat_lightning.models.encoder import copied
from gat_lightning.models.multitask import Attachable, MultiTaskModel
from gat_lightning.models.normalize import normalized


def attach_tasks(
    model: nn.Module,
    tasks: Iterable[Attachable],
    *,
    image: tuple[int, int, int],
    target: str = "class",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    stages: Sequence[str] | None = None,
) -> MultiTaskModel:
    """Step 1 of Algorithm 1 (Ghamizi et al. 2023) for any classifier whose output is that of its last ``nn.Linear``.

    The classifier is copied, never changed. ``attach_tasks(...).single_task()`` (step 3) gives a model of its class
    with its ``state_dict`` keys back.

    ::

        model = attach_tasks(torchvision.models.resnet50(num_classes=10), [Rotation()], image=(3, 32, 32))

    Label tasks attach to the input of the last linear layer. Dense tasks attach to the stages: the feature maps of
    convolutional networks are found without a name (torchvision, timm, and whatever is built of ``nn.Sequential``), or
    given by the names of submodules. Transformers have none, so that dense tasks refuse them.

    Args:
        model: takes ``[B, C, H, W]`` and returns logits ``[B, K]``.
        tasks: auxiliary tasks; those that take something from the data have had their ``setup``.
        image: ``(C, H, W)``.
        target: name of the model's own task.
        mean: what the model expects to be taken off its input, per channel, of pixels in [0, 1]; then the result takes
            plain images in [0, 1]. None for a model that takes such images.
        std: what it expects its input to be divided by then, above 0; given with ``mean``.
        stages: names of the submodules whose outputs ``[B, c, h, w]`` are the stages, from fine to coarse, such as
            ``("layer1", "layer2")``; None to look for them; empty for none (then those of a method ``features(x) ->
            Features``, if the model has one).

    Returns:
        A multi-task model of images in [0, 1].

    Raises:
        UserError: the model cannot be copied or cut, one of ``mean`` and ``std`` is missing or does not fit, a stage is
            not there or is no feature map, or a task's name is taken or cannot work with the features.
    """
    if (mean is None) != (std is None):
        raise UserError("normalisation needs both mean and std, or neither for a model of images in [0, 1]")
    if mean is not None and std is not None:
        model = normalized(copied(model), mean, std)
    return MultiTaskModel(model, target, image, tasks, stages=stages)

"""Auxiliary tasks for existing classifiers: ours, torchvision's, timm's or any other."""

from collections.abc import Iterable, Mapping, Sequence

from torch import nn

from gat_lightning.errors import MissingLabelError, SettingError
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.models.encoder import copied
from gat_lightning.models.multitask import Attachable, MultiTaskModel
from gat_lightning.models.normalize import normalized
from gat_lightning.validate import check_normalization


def attach_tasks(
    model: nn.Module,
    tasks: Iterable[Attachable],
    *,
    image: tuple[int, int, int],
    target: str = "class",
    labels: Mapping[str, LabelInfo] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    stages: Sequence[str] | None = None,
) -> MultiTaskModel:
    """Attach auxiliary tasks to any classifier whose output is that of its last ``nn.Linear``.

    This is step 1 of Algorithm 1 (Ghamizi et al. 2023). The classifier is copied, never changed, and each task's
    ``setup`` is called. ``attach_tasks(...).single_task()`` (step 3) returns a model of the classifier's class with its
    ``state_dict`` keys.

    ::

        model = attach_tasks(torchvision.models.resnet50(num_classes=10), [Rotation()], image=(3, 32, 32))

    Label tasks attach to the input of the last linear layer. Dense tasks attach to the stages: the feature maps of
    convolutional networks are found without a name (torchvision, timm, and whatever is built of ``nn.Sequential``), or
    given by the names of submodules. Transformers have none, so that dense tasks refuse them.

    Args:
        model: takes ``[B, C, H, W]`` and returns logits ``[B, K]``.
        tasks: auxiliary tasks.
        image: ``(C, H, W)``.
        target: name of the model's own task.
        labels: the labels that tasks such as ``Macro`` learn, by name; self-supervised tasks need none.
        mean: what the model expects to be taken off its input, per channel, of pixels in [0, 1]; then the result takes
            plain images in [0, 1]. None for a model that takes such images. Published weights expect it: those of
            torchvision the values of ``weights.transforms()``, those of timm the ones of ``model.pretrained_cfg``.
        std: what it expects its input to be divided by then, above 0; given with ``mean``.
        stages: names of the submodules whose outputs ``[B, c, h, w]`` are the stages, from fine to coarse, such as
            ``("layer1", "layer2")``; None to look for them; empty for none (then those of a method ``features(x) ->
            Features``, if the model has one).

    Returns:
        A multi-task model of images in [0, 1].

    Raises:
        SettingError: a task learns a label that is not among ``labels``; the message names all such labels. One of
            ``mean`` and ``std`` is missing, or they are not of pixels in [0, 1].
        ValueError: the model cannot be copied or cut, a stage is not there or is no feature map, or a task's name is
            taken or cannot work with the features.
    """
    check_normalization(mean, std)
    attached, channels = list(tasks), image[0]
    _set_up(attached, DataInfo("the images", image, (0.0,) * channels, (1.0,) * channels, dict(labels or {})))
    if mean is not None and std is not None:
        model = normalized(copied(model), mean, std)
    return MultiTaskModel(model, target, image, attached, stages=stages)


def _set_up(tasks: Iterable[Attachable], data: DataInfo) -> None:
    missing = []
    for task in tasks:
        try:
            task.setup(data)
        except MissingLabelError:
            missing.append(task.name)
    if missing:
        example = f"{{{missing[0]!r}: LabelInfo(('first class', 'second class'))}}"
        raise SettingError("labels", sorted(data.labels), f"a mapping with {', '.join(missing)}, such as {example}")

"""Splitting a classifier into an encoder and its final linear layer, and joining them again."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from gat_lightning.errors import SettingError
from gat_lightning.models.features import FeatureInfo, Features
from gat_lightning.models.stages import check_maps, find_stages, tap

Module = TypeVar("Module", bound=nn.Module)


class Encoder(nn.Module):
    """A classifier without its last linear layer: the shared trunk θ^s.

    Made by :func:`cut`. ``trunk`` is the classifier itself with an identity where the linear layer was.

    Stages are what the classifier's own ``features`` method gives, or the outputs of named submodules, which forward
    hooks keep: keys of the ``state_dict`` stay as they are.

    Shape:
        ``[B, C, H, W]`` -> ``Features`` with ``pooled`` ``[B, D]``, and ``stages`` if there are any.
    """

    def __init__(
        self, trunk: nn.Module, head_paths: tuple[str, ...], *, staged: bool, stages: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self._head_paths = head_paths
        self._staged = staged
        self._taps, self._handles = tap(trunk, stages)

    def forward(self, x: Tensor) -> Features:
        """Encode images.

        Raises:
            ValueError: the classifier returns more than logits in training mode (auxiliary classifiers).
        """
        if self._staged:
            return self.trunk.features(x)  # type: ignore[operator]
        pooled = self.trunk(x)
        if not isinstance(pooled, Tensor):
            raise ValueError(
                f"{type(self.trunk).__name__} returns a {type(pooled).__name__} in training mode, expected a tensor; "
                "make it without auxiliary classifiers (torchvision: aux_logits=False)"
            )
        return Features(pooled, tuple(each.take() for each in self._taps))

    def with_head(self, head: nn.Module) -> nn.Module:
        """The classifier as it was before the cut, ending in ``head``; shares nothing with this encoder.

        Weights that are tied between the two are tied in it.
        """
        twin, restored = copy.deepcopy((self, head))
        for handle in twin._handles:
            handle.remove()
        classifier = twin.trunk
        for path in self._head_paths:
            classifier.set_submodule(path, restored)
        return classifier


def copied(classifier: Module) -> Module:
    """An independent copy.

    Raises:
        ValueError: the classifier cannot be copied.
    """
    with _explained(f"{type(classifier).__name__} cannot be copied, which is needed to leave the original as it is"):
        return copy.deepcopy(classifier)


def cut(
    classifier: nn.Module, image: tuple[int, int, int], stages: Sequence[str] | None = ()
) -> tuple[Encoder, nn.Linear, FeatureInfo]:
    """Cut the linear layer whose output is the classifier's output off a copy of the classifier.

    The layer is looked for from the last registered one backwards and found by experiment: the classifier, in eval
    mode, must hand on unchanged whatever that layer returns, and must hand on its input once the layer is gone.

    Args:
        classifier: takes ``[B, C, H, W]`` in [0, 1], returns ``[B, K]``; it is not changed.
        image: ``(C, H, W)``.
        stages: names of the submodules whose outputs are the stages, from fine to coarse; None to look for them (see
            :func:`~gat_lightning.models.stages.find_stages`). Without any, those of the classifier's own method
            ``features(x) -> Features``, if it has one, which None prefers too.

    Returns:
        The encoder, the linear layer and the shapes of the encoder's features.

    Raises:
        ValueError: the classifier cannot be copied, cannot process such images, does not end in a
            ``torch.nn.Linear``, or the stages are not feature maps of its from fine to coarse.
    """
    name = type(classifier).__name__
    trunk = copied(classifier)
    linears = [module for module in trunk.modules() if isinstance(module, nn.Linear) and module is not trunk]
    if not linears:
        raise ValueError(f"{name} contains no torch.nn.Linear; {_REQUIREMENT}")
    images = torch.linspace(0, 1, 2 * image[0] * image[1] * image[2]).view(2, *image).to(linears[-1].weight)
    with _eval_mode(trunk), torch.no_grad():
        head, pooled = _find_head(trunk, linears, images)
        paths = tuple(path for path, module in trunk.named_modules(remove_duplicate=False) if module is head)
        for path in paths:
            trunk.set_submodule(path, nn.Identity())
        method = getattr(type(trunk), "features", None)
        with _explained(f"{name} cannot do without its last Linear, before which tasks are attached"):
            staged = not stages and callable(method) and isinstance(trunk.features(images), Features)  # type: ignore[operator]
            found = find_stages(trunk, images) if stages is None and not staged else stages or ()
            encoder = Encoder(trunk, paths, staged=staged, stages=found)
            features = encoder(images)
    check_maps(found, features.stages[: len(found)])
    if features.pooled.shape != pooled.shape or not torch.allclose(features.pooled, pooled, rtol=1e-3, atol=1e-5):
        raise ValueError(
            f"{name}.features(images).pooled is not what its last Linear is given when the classifier is called "
            "(hooks on the classifier, such as those of `normalized`, do not run for a method)"
            if staged
            else f"{name} cannot do without its last Linear, before which tasks are attached: it does not return "
            "that layer's input then"
        )
    shapes = tuple((stage.shape[1], stage.shape[2], stage.shape[3]) for stage in features.stages)
    return encoder, head, FeatureInfo(dim=pooled.shape[1], stages=shapes, image=image)


_REQUIREMENT = (
    "tasks are attached before the last Linear of a classifier, so its output [B, classes] must be that layer's, as it "
    "is (a softmax, an activation or a scale behind it belongs into the loss)"
)


def _find_head(trunk: nn.Module, linears: list[nn.Linear], images: Tensor) -> tuple[nn.Linear, Tensor]:
    """The linear layer whose output is the trunk's, and its input for these images."""
    name = type(trunk).__name__
    with _explained(f"{name} cannot process images of shape {tuple(images.shape[1:])}"):
        output = trunk(images)
    if not isinstance(output, Tensor) or output.ndim != 2:
        what = f"a tensor of {output.ndim} dimensions" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise ValueError(f"{name} returns {what}; {_REQUIREMENT}")
    # No activation, normalisation or rescaling leaves these numbers as they are.
    sentinel = torch.linspace(-97, 89, output.numel()).view_as(output).to(output)
    for linear in reversed(linears):
        if linear.out_features != output.shape[1]:
            continue
        inputs: list[Tensor] = []

        def substitute(_: nn.Module, args: tuple[Tensor], result: Tensor, inputs: list[Tensor] = inputs) -> Tensor:
            inputs.append(args[0].clone())
            return sentinel.clone() if result.shape == sentinel.shape else result

        handle = linear.register_forward_hook(substitute)
        try:
            returned = trunk(images)
        finally:
            handle.remove()
        if inputs and torch.equal(returned, sentinel):
            return linear, inputs[-1]
    raise ValueError(f"the output of {name} is not the output of one of its torch.nn.Linear layers; {_REQUIREMENT}")


@contextmanager
def _explained(message: str) -> Iterator[None]:
    """Errors of somebody else's code, said to the user."""
    try:
        yield
    except SettingError:
        raise
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
        raise ValueError(f"{message}: {error}") from error


@contextmanager
def _eval_mode(module: nn.Module) -> Iterator[None]:
    """Eval mode inside, afterwards each submodule's own mode again."""
    modes = [(submodule, submodule.training) for submodule in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for submodule, training in modes:
            submodule.training = training

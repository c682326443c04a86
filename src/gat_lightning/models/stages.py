"""Feature maps of inner modules of any classifier."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gat_lightning.errors import SettingError
from gat_lightning.nearest import did_you_mean, nearest

_GLOBAL_POOLS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
# By how much a map's height and width may be scaled differently; rounding makes it a little more than 1.
_MOST_DISTORTION = 1.5


class StageTap:
    """A forward hook that keeps the last output of its module until it is taken.

    Copies and pickles of a tap are empty, since an output belongs to one pass and its graph.

    Args:
        name: of the module.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.output: Tensor | None = None

    def __call__(self, module: nn.Module, args: tuple[object, ...], output: Tensor) -> None:
        """Keep the output, which goes on as it is."""
        self.output = output

    def __getstate__(self) -> dict[str, str | None]:
        """Without the output."""
        return {"name": self.name, "output": None}

    def take(self) -> Tensor:
        """The output of the pass that has just ended, which is forgotten here.

        Raises:
            SettingError: the module was not called in that pass.
        """
        output, self.output = self.output, None
        if output is None:
            raise SettingError("stages", self.name, "the name of a submodule that is called when the classifier is")
        return output


def tap(trunk: nn.Module, names: Sequence[str]) -> tuple[list[StageTap], list[RemovableHandle]]:
    """Put a tap on each of these submodules.

    Returns:
        The taps, and the handles that remove them.

    Raises:
        SettingError: there is no such submodule.
    """
    modules = {name: module for name, module in trunk.named_modules() if name}
    taps, handles = [], []
    for name in names:
        if name not in modules:
            meant = did_you_mean(nearest(name, modules))
            raise SettingError("stages", name, f"the name of a submodule of {type(trunk).__name__}{meant}")
        taps.append(StageTap(name))
        handles.append(modules[name].register_forward_hook(taps[-1]))
    return taps, handles


def check_maps(names: Sequence[str], maps: Sequence[object]) -> None:
    """Raise `SettingError` unless these are feature maps ``[B, c, h, w]`` from fine to coarse."""
    sizes = []
    for name, output in zip(names, maps, strict=True):
        if not isinstance(output, Tensor) or output.ndim != 4:
            what = f"a tensor of {output.ndim} dimensions" if isinstance(output, Tensor) else type(output).__name__
            raise SettingError("stages", name, f"the name of a feature map [B, c, h, w], and this gives {what}")
        sizes.append(tuple(output.shape[2:]))
    if any(fine[axis] < coarse[axis] for fine, coarse in pairwise(sizes) for axis in (0, 1)):
        raise SettingError("stages", list(names), f"from fine to coarse, and these maps have the sizes {sizes}")


def find_stages(classifier: nn.Module, images: Tensor) -> tuple[str, ...]:
    """Names of the submodules that give a classifier's feature maps, one for each resolution, from fine to coarse.

    They are looked for among the model's children, the children of those that are an ``nn.Sequential`` or an
    ``nn.ModuleList``, and so on, up to the global pooling: the last one to give a map of that resolution.

    Args:
        classifier: is run once, as it is.
        images: ``[B, C, H, W]``.

    Returns:
        The names; none where there are no maps ``[B, c, h, w]`` of the images' proportions. Those that are followed by
        tokens or by maps with their channels last (transformers) do not count: they are a mere embedding of patches.
    """
    last: dict[tuple[int, int], str] = {}
    for name, module, output in _outputs(classifier, images):
        if not isinstance(output, Tensor) or output.ndim not in (3, 4):
            continue
        size = (output.shape[-2], output.shape[-1])
        single = output.ndim == 4 and size == (1, 1)
        if isinstance(module, _GLOBAL_POOLS) or (single and size not in last and not list(module.parameters())):
            break
        if output.ndim == 4 and _in_proportion(size, images):
            last[size] = name
        elif not single:
            last.clear()
    sizes = sorted(last, reverse=True)
    return tuple(last[size] for size in sizes) if all(fine[1] >= coarse[1] for fine, coarse in pairwise(sizes)) else ()


def _outputs(classifier: nn.Module, images: Tensor) -> list[tuple[str, nn.Module, object]]:
    """What the submodules on the way through the classifier give, in the order in which they give it."""
    outputs: list[tuple[str, nn.Module, object]] = []
    handles = [
        module.register_forward_hook(lambda module, _, output, name=name: outputs.append((name, module, output)))
        for name, module in _on_the_way(classifier)
    ]
    try:
        classifier(images)
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def _on_the_way(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        yield prefix + name, child
        if isinstance(child, (nn.Sequential, nn.ModuleList)):
            yield from _on_the_way(child, f"{prefix}{name}.")


def _in_proportion(size: tuple[int, int], images: Tensor) -> bool:
    """Whether these may be height and width of a map, but for rounding."""
    vertical, horizontal = images.shape[2] / size[0], images.shape[3] / size[1]
    alike = max(vertical, horizontal) <= _MOST_DISTORTION * min(vertical, horizontal)
    return alike or min(abs(size[1] - images.shape[3] / vertical), abs(size[0] - images.shape[2] / horizontal)) <= 1

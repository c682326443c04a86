"""Wide residual networks (Zagoruyko and Komodakis 2016)."""

from collections.abc import Sequence

from gat_lightning.errors import SettingError
from gat_lightning.models.encoders.preact_resnet import BasicBlock, PreActResNet


class WideResNet(PreActResNet):
    """WRN-``depth``-``widen_factor``: a pre-activation network of three wide stages, without dropout.

    Zagoruyko and Komodakis, *Wide Residual Networks*, BMVC 2016 (arXiv:1605.07146), table 1. Stem and initialisation
    (normal of variance 2 / fan-out) are those of :class:`PreActResNet`; the paper itself has the small stem only.

    Args:
        num_classes: outputs of ``fc``.
        image: ``(C, H, W)`` of the images.
        mean: per channel, of pixels in [0, 1].
        std: likewise, above 0.
        depth: 6n + 4 with n >= 1 blocks per stage: 10, 16, 22, 28, ...
        widen_factor: k >= 1; the stages are 16k, 32k and 64k wide.

    Shape:
        ``[B, C, H, W]`` -> ``[B, num_classes]``.

    Raises:
        SettingError: ``depth`` is not 6n + 4.
        ValueError: ``mean`` or ``std`` does not fit the channels of ``image``.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        image: tuple[int, int, int],
        mean: Sequence[float],
        std: Sequence[float],
        depth: int,
        widen_factor: int,
    ) -> None:
        blocks, rest = divmod(depth - 4, 6)
        if rest or blocks < 1:
            raise SettingError("depth", depth, "6n + 4 for a wide ResNet: 10, 16, 22, 28, ...")
        super().__init__(
            num_classes=num_classes,
            image=image,
            mean=mean,
            std=std,
            block=BasicBlock,
            layers=(blocks, blocks, blocks),
            widths=(16 * widen_factor, 32 * widen_factor, 64 * widen_factor),
            stem_width=16,
        )


def wide_resnet28_10(
    *, num_classes: int, image: tuple[int, int, int], mean: Sequence[float], std: Sequence[float]
) -> WideResNet:
    """WRN-28-10, 36.5 million parameters with 10 classes."""
    return WideResNet(num_classes=num_classes, image=image, mean=mean, std=std, depth=28, widen_factor=10)


def wide_resnet70_16(
    *, num_classes: int, image: tuple[int, int, int], mean: Sequence[float], std: Sequence[float]
) -> WideResNet:
    """WRN-70-16, 266.8 million parameters with 10 classes."""
    return WideResNet(num_classes=num_classes, image=image, mean=mean, std=std, depth=70, widen_factor=16)

"""Pre-activation residual networks (He et al. 2016b)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from gat_lightning.models.features import Features
from gat_lightning.models.normalize import Normalize

SMALL_IMAGE = 64
"""Longest side, in pixels, of images that get the stem without down-sampling."""


class Block(nn.Module):
    """A residual unit with full pre-activation (fig. 4e): BN-ReLU before every convolution.

    Where the shape changes, the shortcut is a 1x1 convolution of the activated input; elsewhere the input itself.

    Args:
        channels: channels of the input.
        width: channels inside; the output has ``width * expansion``.
        stride: of the 3x3 convolution that down-samples.

    Shape:
        ``[B, channels, H, W]`` -> ``[B, width * expansion, ceil(H / stride), ceil(W / stride)]``.
    """

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.norm1 = nn.BatchNorm2d(channels)
        self.shortcut = (
            nn.Conv2d(channels, outputs, 1, stride, bias=False) if stride != 1 or channels != outputs else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual branch to the shortcut."""
        activated = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        return self.residual(activated) + shortcut

    def residual(self, activated: Tensor) -> Tensor:
        """The residual branch, from the activated input on."""
        raise NotImplementedError


class BasicBlock(Block):
    """Two 3x3 convolutions; see :class:`Block`."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__(channels, width, stride)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def residual(self, activated: Tensor) -> Tensor:
        """The residual branch, from the activated input on."""
        return self.conv2(F.relu(self.norm2(self.conv1(activated))))


class Bottleneck(Block):
    """1x1, 3x3 (with the stride) and 1x1 convolution; see :class:`Block`."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__(channels, width, stride)
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)

    def residual(self, activated: Tensor) -> Tensor:
        """The residual branch, from the activated input on."""
        inner = self.conv2(F.relu(self.norm2(self.conv1(activated))))
        return self.conv3(F.relu(self.norm3(inner)))


class PreActResNet(nn.Module):
    """Classifier of images in [0, 1]: normalisation, stem, residual stages, BN-ReLU, average pool, ``fc``.

    He et al., *Identity Mappings in Deep Residual Networks*, ECCV 2016 (arXiv:1603.05027), section 4 and appendix.
    The stem is one 3x3 convolution for images of up to 64 pixels a side, the ImageNet stem (7x7 convolution of stride 2
    and max-pool) above. The first stage keeps the resolution, each later one halves it.

    Convolutions start from a normal distribution of variance 2 / fan-out (He et al. 2015, eq. 14), as in the paper's
    code; BatchNorm from weight 1 and bias 0; ``fc`` has PyTorch's own weights and bias 0.

    Args:
        num_classes: outputs of ``fc``.
        image: ``(C, H, W)`` of the images; any size works at run time, this one decides the stem.
        mean: per channel, of pixels in [0, 1].
        std: likewise, above 0.
        block: kind of residual unit.
        layers: units in each stage.
        widths: ``width`` of each stage's units.
        stem_width: channels after the stem.

    Shape:
        ``[B, C, H, W]`` -> ``[B, num_classes]``.

    Raises:
        ValueError: ``mean`` or ``std`` does not fit the channels of ``image``, or ``layers`` does not fit ``widths``.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        image: tuple[int, int, int],
        mean: Sequence[float],
        std: Sequence[float],
        block: type[Block],
        layers: Sequence[int],
        widths: Sequence[int],
        stem_width: int,
    ) -> None:
        super().__init__()
        in_channels, height, width = image
        if len(mean) != in_channels:
            raise ValueError(f"images have {in_channels} channels, but there are {len(mean)} means for normalisation")
        if len(layers) != len(widths):
            raise ValueError(f"layers and widths need one entry per stage, got {list(layers)} and {list(widths)}")
        self.normalize = Normalize(mean, std)
        self.stem = _stem(in_channels, stem_width, small=max(height, width) <= SMALL_IMAGE)
        self.stages = nn.ModuleList()
        channels = stem_width
        for index, (units, unit_width) in enumerate(zip(layers, widths, strict=True)):
            stage = nn.Sequential()
            for unit in range(units):
                stage.append(block(channels, unit_width, stride=2 if index > 0 and unit == 0 else 1))
                channels = unit_width * block.expansion
            self.stages.append(stage)
        self.norm = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, num_classes)
        self._initialise()

    def features(self, x: Tensor) -> Features:
        """Penultimate layer and feature maps.

        Args:
            x: ``[B, C, H, W]`` in [0, 1].

        Returns:
            ``pooled`` ``[B, D]`` and the output of every stage, from fine to coarse. Stage outputs are residual
            streams, neither normalised nor activated; the final BN-ReLU acts only on the way to ``pooled``.
        """
        x = self.stem(self.normalize(x))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return Features(F.relu(self.norm(x)).mean((2, 3)), tuple(maps))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images in [0, 1]."""
        return self.fc(self.features(x).pooled)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)


def _stem(in_channels: int, width: int, *, small: bool) -> nn.Sequential:
    if small:
        return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1, bias=False))
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def preact_resnet_small(
    *, num_classes: int, image: tuple[int, int, int], mean: Sequence[float], std: Sequence[float], width: int = 16
) -> PreActResNet:
    """Three stages of one basic block, widths 1, 2 and 4 times ``width``: for 8x8 digits and for CPUs."""
    return PreActResNet(
        num_classes=num_classes,
        image=image,
        mean=mean,
        std=std,
        block=BasicBlock,
        layers=(1, 1, 1),
        widths=(width, 2 * width, 4 * width),
        stem_width=width,
    )


def preact_resnet18(
    *, num_classes: int, image: tuple[int, int, int], mean: Sequence[float], std: Sequence[float], width: int = 64
) -> PreActResNet:
    """PreActResNet-18: four stages of two basic blocks, widths 1, 2, 4 and 8 times ``width``."""
    return PreActResNet(
        num_classes=num_classes,
        image=image,
        mean=mean,
        std=std,
        block=BasicBlock,
        layers=(2, 2, 2, 2),
        widths=(width, 2 * width, 4 * width, 8 * width),
        stem_width=width,
    )


def preact_resnet50(
    *, num_classes: int, image: tuple[int, int, int], mean: Sequence[float], std: Sequence[float], width: int = 64
) -> PreActResNet:
    """PreActResNet-50 ("ResNet-50v2"): 3, 4, 6 and 3 bottleneck blocks, widths 1, 2, 4 and 8 times ``width``."""
    return PreActResNet(
        num_classes=num_classes,
        image=image,
        mean=mean,
        std=std,
        block=Bottleneck,
        layers=(3, 4, 6, 3),
        widths=(width, 2 * width, 4 * width, 8 * width),
        stem_width=width,
    )

"""Compiled classifiers for evaluation: forward pass and input gradient, for batches of any size."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gat_lightning.errors import one_line
from gat_lightning.models.compiler import compiler_settings

_FEW = 16
"""From so many images on torch convolves in another way on a CPU, and Dynamo compiles anew."""
_ROUNDING = 1e-4
"""Largest difference, relative to the largest value, that counts as rounding."""
_GRADIENT_ROUNDING = 1e-2
"""The same of gradients, in the Euclidean norm: a ReLU at 0 by rounding changes a part of them."""


class FastClassifier(nn.Module):
    """A frozen classifier in eval mode, whose passes can be compiled and be in channels-last layout.

    One compiled pass without a gradient and one with the input gradient serve batches of all sizes. A batch is padded
    to one of eight sizes between powers of two, so that convolution libraries choose and prepare few algorithms. The
    classifier runs as it is in train mode, where the padding would count in BatchNorm, and on a CPU on fewer than 16
    images, where it would have to be compiled again.

    Args:
        classifier: images ``[B, C, H, W]`` -> outputs ``[B, K]``. Its parameters are frozen, and moved to the layout.
        channels_last: whether images and convolutions are in that memory layout.

    Attributes:
        classifier: the classifier.
    """

    def __init__(self, classifier: nn.Module, channels_last: bool = False) -> None:
        super().__init__()
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self.classifier = classifier.to(memory_format=self._layout).requires_grad_(False)
        self._compiled: Callable[[Tensor], Tensor] | None = None
        self._least = 2
        self.eval()

    @property
    def is_compiled(self) -> bool:
        """Whether its passes are compiled."""
        return self._compiled is not None

    def try_to_compile(self, images: Tensor) -> str | None:
        """Compile both passes, and use them if they give what the classifier gives.

        Args:
            images: any images ``[B, C, H, W]`` of the size, type and device of those to come, B at least 2.

        Returns:
            Why the classifier is left as it is; None where it is compiled.
        """
        if (reason := coupling(self.classifier, images)) is not None:
            return reason
        self._least = _FEW if images.device.type == "cpu" and len(images) >= _FEW else 2
        self._compiled = torch.compile(self._run, fullgraph=True)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The .grad attribute of a Tensor")  # Dynamo looks for it
                output, gradient = self._both(images)
                plain = self(images)
        except Exception as error:
            self._compiled = None
            return f"compiling it failed: {one_line(error, 200)}"
        compiled, self._compiled = self._compiled, None
        expected, expected_gradient = self._both(images)
        scale = expected.abs().amax().clamp(min=1)
        wrong = max((found - expected).abs().amax() for found in (output, plain)) > _ROUNDING * scale
        if wrong or (gradient - expected_gradient).norm() > _GRADIENT_ROUNDING * expected_gradient.norm():
            return "compiled, it gives other outputs"
        self._compiled = compiled
        return None

    def forward(self, images: Tensor) -> Tensor:
        """Outputs ``[B, K]``."""
        if self._compiled is None or self.training or len(images) < self._least:
            return self._run(images.contiguous(memory_format=self._layout))
        with torch.set_grad_enabled(torch.is_grad_enabled() and images.requires_grad), compiler_settings():
            return self._compiled(self._padded(images))[: len(images)]

    def _run(self, images: Tensor) -> Tensor:
        return self.classifier(images)

    def _padded(self, images: Tensor) -> Tensor:
        """The images, and the first one again as often as is missing, as a new tensor of any number of images."""
        missing = padded_size(len(images)) - len(images)
        filling = images[:1].detach().expand(missing, *images.shape[1:])
        padded = torch.cat([images, filling]).contiguous(memory_format=self._layout)
        torch._dynamo.mark_dynamic(padded, 0)
        return padded

    def _both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and the gradient of their sum of squares."""
        with torch.enable_grad():
            images = images.detach().requires_grad_()
            output = self(images)
            (gradient,) = torch.autograd.grad(output.square().sum(), images)
        return output.detach(), gradient


def padded_size(images: int) -> int:
    """The size to which a batch is padded, at most an eighth more."""
    step = max(1, 2 ** images.bit_length() // 16)
    return -(-images // step) * step


@torch.no_grad()
def coupling(classifier: nn.Module, images: Tensor) -> str | None:
    """Why a classifier's output of an image is no function of the image alone; None if it is.

    Args:
        classifier: as it is used, in eval mode.
        images: ``[B, C, H, W]``, B at least 2.
    """
    before = _generators(images.device)
    first = classifier(images)
    if not all(map(torch.equal, before, _generators(images.device))):
        return "it draws random numbers"
    half = len(images) // 2
    others = torch.cat([images[:half], 1 - images[half:]])
    scale = first.abs().amax().clamp(min=1)
    if (classifier(others)[:half] - first[:half]).abs().amax() > _ROUNDING * scale:
        return "its output of an image depends on the other images of the batch"
    return None


def _generators(device: torch.device) -> list[Any]:
    """States of torch's generators."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states

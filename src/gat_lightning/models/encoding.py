"""Ways to run the encoder: in full precision, compiled, or with activation checkpointing."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

from gat_lightning.attacks.guard import unchanged_buffers
from gat_lightning.errors import SettingError
from gat_lightning.gradients.tf32 import tf32
from gat_lightning.models import Features, MultiTaskModel
from gat_lightning.models.double_backward import fast_double_backward
from gat_lightning.models.eager_fallback import fall_back_to_eager
from gat_lightning.models.features import Encode

# Of a 1x1 convolution with a stride in channels-last layout. oneDNN writes beyond its memory where they are fewer than
# a block, which is 8 with AVX2 and 16 with AVX-512 (its issue 6035).
_FEWEST_CHANNELS = 16


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Outside autocast and without TF32: second derivatives and differences of losses need the weights' precision."""
    with torch.autocast(device.type, enabled=False), tf32(False):
        yield


def check_channels_last(model: nn.Module, device: torch.device) -> None:
    """Refuse a model whose convolutions would corrupt memory in that layout.

    Raises:
        SettingError: the convolution, and what to change.
    """
    if device.type != "cpu":
        return
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d) or set(module.kernel_size) != {1} or max(module.stride) == 1:
            continue
        channels = module.in_channels // module.groups
        if channels < _FEWEST_CHANNELS:
            raise SettingError(
                "channels_last",
                True,
                f"false on a CPU, or the encoder wider: it would corrupt memory, since '{name}' is a 1x1 convolution"
                f" with a stride and {channels} channels in a group, fewer than {_FEWEST_CHANNELS} (oneDNN issue 6035)",
            )


def compile_encoder(model: MultiTaskModel) -> None:
    """Compile the encoder in place; names of parameters, copies and checkpoints stay as they are.

    Compiled passes draw (dropout) what eager ones draw. They must run in
    :func:`~gat_lightning.models.compiler.compiler_settings`.
    """
    model.encoder.compile(options={"fallback_random": True})
    fall_back_to_eager(model.encoder)


def encode_compiled(model: MultiTaskModel, images: Tensor) -> Features:
    """Features by a compiled encoder, also where a backward through an earlier pass follows.

    A compiled pass in train mode writes BatchNorm's running statistics with operations that autograd counts, and eager
    graphs refer to these buffers, though their backward in train mode does not read them: the count is put back.
    """
    statistics = [
        buffer
        for module in model.encoder.modules()
        if isinstance(module, _NormBase) and module.training
        for buffer in module.buffers(recurse=False)
    ]
    with _unsafe_preserve_version_counter(tuple(statistics)):
        return model.encode(images)


def encode_for_differences(model: MultiTaskModel, images: Tensor) -> Features:
    """Compiled, but for images that require a gradient: a compiled backward would compute the parameters' too."""
    return model.encoder.forward(images) if images.requires_grad else encode_compiled(model, images)


def encode_for_double_backward(model: MultiTaskModel, images: Tensor) -> Features:
    """Eagerly, with layers whose double backward is fast."""
    with fast_double_backward():
        return model.encode_eagerly(images)


def with_equal_draws(encode: Encode, device: torch.device) -> Encode:
    """An encoder that draws the same numbers (dropout, stochastic depth) in every pass: those that come next now."""
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    on_cpu = torch.get_rng_state()

    def run(images: Tensor) -> Features:
        torch.set_rng_state(on_cpu)
        if on_device is not None:
            torch.cuda.set_rng_state(on_device, device)
        return encode(images)

    return run


def keep_generators(device: torch.device) -> AbstractContextManager[None]:
    """Puts torch's generators back, so that what follows draws as if the block had not."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [], device_type="cuda")


def recomputed(model: MultiTaskModel, encode: Encode, images: Tensor) -> Features:
    """Encode and keep the images alone; the backward computes activations again, which BatchNorm does not count."""
    return checkpoint(
        encode,
        images,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _Uncounted(model)),
    )


class _Uncounted(AbstractContextManager[None]):
    """:func:`unchanged_buffers`, entered anew by every backward through a pass that is kept for several."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def __enter__(self) -> None:
        self._block = unchanged_buffers(self._model)
        self._block.__enter__()

    def __exit__(self, *raised: Any) -> None:
        self._block.__exit__(*raised)

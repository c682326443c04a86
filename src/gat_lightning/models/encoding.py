"""Ways to run the encoder: in full precision, compiled, or with activation checkpointing."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from gat_lightning.attacks.guard import unchanged_buffers
from gat_lightning.errors import SettingError
from gat_lightning.gradients.tf32 import tf32
from gat_lightning.models import Features, MultiTaskModel
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

    A compiled backward may not reuse the memory of saved activations, since every objective's gradient needs them.
    """
    torch._functorch.config.donated_buffer = False
    model.encoder.compile()
    fall_back_to_eager(model.encoder)


def has_moving_statistics(model: MultiTaskModel) -> bool:
    """Whether a pass in training mode changes buffers, as BatchNorm does.

    Two such passes before their backward cannot be compiled: the compiled backward of the first refers to the buffers.
    """
    return any(
        isinstance(module, _BatchNorm) and module.track_running_stats and module.training for module in model.modules()
    )


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


def recomputed(model: MultiTaskModel, images: Tensor) -> Features:
    """Encode and keep the images alone; the backward computes activations again, which BatchNorm does not count."""
    return checkpoint(
        model.encode,
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

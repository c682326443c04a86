"""Guard around an attack: restores the model and torch's generators."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

from gat_lightning.attacks.snapshot import snapshot

MODES = ("eval", "train")
"""Modes in which a model can be attacked."""


@contextmanager
def unchanged_buffers(module: nn.Module) -> Iterator[None]:
    """Lets a block run ``module`` in training mode and puts back all buffers afterwards, also when the block raises."""
    buffers = [(part, name, buffer) for part in module.modules() for name, buffer in part.named_buffers(recurse=False)]
    # Through .data, because a graph built before the block may hold a buffer: a change of its version would make that
    # graph's backward fail, although the value is the same.
    put_back = snapshot(buffer.data for _, _, buffer in buffers)
    try:
        yield
    finally:
        for part, name, buffer in buffers:
            if getattr(part, name) is not buffer:
                setattr(part, name, buffer)
        put_back()


@contextmanager
def undisturbed(
    module: nn.Module | None, mode: str = "eval", device: torch.device | str | None = None
) -> Iterator[None]:
    """Lets a block differentiate through ``module`` and leaves no trace of it, also when the block raises.

    Inside, gradients are enabled (also under ``torch.no_grad``), no parameter requires one, and every sub-module is in
    ``mode``. In ``train`` mode BatchNorm uses the statistics of the batch. Afterwards the training flag of each
    sub-module, ``requires_grad`` of each parameter, all buffers (running statistics, ``num_batches_tracked``) and
    the states of torch's global generators are as before. In ``eval`` mode buffers are not copied, since no module
    of torch moves them there.

    Args:
        module: the model that is attacked; ``None`` keeps the generators alone.
        mode: ``eval`` or ``train``.
        device: where else, besides the module's devices, random numbers may be drawn.

    Raises:
        ValueError: ``torch.inference_mode`` is on, where no gradient can be had.
    """
    if torch.is_inference_mode_enabled():
        raise ValueError(
            "An attack needs gradients, which torch.inference_mode() forbids; use torch.no_grad() instead "
            "(in Lightning: Trainer(inference_mode=False))"
        )
    parts = [] if module is None else list(module.modules())
    parameters = [parameter for part in parts for parameter in part.parameters(recurse=False)]
    used = {parameter.device for parameter in parameters} | ({torch.device(device)} if device is not None else set())
    cuda = [device for device in used if device.type == "cuda"]
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    flags = [(part, part.training) for part in parts]
    buffers = unchanged_buffers(module) if module is not None and mode == "train" else nullcontext()
    with buffers, torch.random.fork_rng(devices=cuda, device_type="cuda"), torch.enable_grad():
        try:
            if module is not None:
                module.train(mode == "train")
            for parameter in trainable:
                parameter.requires_grad_(False)
            yield
        finally:
            for parameter in trainable:
                parameter.requires_grad_(True)
            for part, flag in flags:
                if part.training != flag:
                    part.training = flag

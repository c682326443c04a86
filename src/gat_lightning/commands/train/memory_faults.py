"""Messages for out-of-memory errors."""

from __future__ import annotations

import torch

from gat_lightning.training.callbacks.peak_memory import GIB, peak_memory

_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or Python means that."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


def advice(device: torch.device, batch_size: int, micro_batch: int | None) -> str:
    """A message with the measured peak and the settings that lower it."""
    smaller, peak = max((micro_batch or batch_size) // 2, 1), peak_memory(device)
    used = "" if peak is None else f" {peak / GIB:.1f} GiB were in use at most."
    return (
        f"Out of memory on {device}.{used} engine.micro_batch={smaller} works a batch off in smaller parts, with the"
        " same gradients; engine.space=representation, trainer.precision=bf16-mixed, a smaller encoder or a smaller"
        " data.batch_size need less too. resume=auto goes on from the last checkpoint."
    )

"""How much memory a run needs."""

from __future__ import annotations

import sys

import pytorch_lightning as pl
import torch

GIB = 2**30


class PeakMemory(pl.Callback):
    """Logs ``peak_memory_gib`` after each epoch: the most memory that this process has held since training began.

    On a GPU that of torch's allocator; on a CPU the resident memory of the process, data and libraries included.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start counting on a GPU."""
        if pl_module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(pl_module.device)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the peak so far."""
        peak = peak_memory(pl_module.device)
        if peak is not None:
            for logger in trainer.loggers:
                logger.log_metrics({"peak_memory_gib": peak / GIB}, step=trainer.global_step)


def peak_memory(device: torch.device) -> int | None:
    """Most bytes that this process has held on ``device`` so far; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

"""Peak memory of a run."""

import sys
from contextlib import suppress
from pathlib import Path

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
            row = {"peak_memory_gib": peak / GIB, "epoch": float(trainer.current_epoch)}
            for logger in trainer.loggers:
                logger.log_metrics(row, step=trainer.global_step)


def peak_memory(device: torch.device) -> int | None:
    """Most bytes that this process has held on ``device`` so far; None where the system does not tell."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else resident_peak()


def forget_peak(device: torch.device) -> None:
    """Let :func:`peak_memory` count from now on; on a CPU where the system can, which is on Linux."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def resident_peak() -> int | None:
    """Largest resident set of this program, in bytes; None where the system does not tell (Windows)."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it started this program
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

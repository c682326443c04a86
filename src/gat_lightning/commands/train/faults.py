"""Faults of a running training, each explained in one message that says what to do."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from omegaconf import DictConfig

from gat_lightning.config.resuming import last_good, wanted_resume
from gat_lightning.distributed import several_ranks
from gat_lightning.errors import NonFiniteError, ReentrantCheckpointingError, UserError, is_disk_full, one_line
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.ranks import LostRankError
from gat_lightning.runs.signals import Stopped
from gat_lightning.training.callbacks.last_checkpoint import LastCheckpoint
from gat_lightning.training.callbacks.peak_memory import GIB, peak_memory

log = logging.getLogger(__name__)

_OF_COLLECTIVES = ("gloo", "NCCL", "nccl", "c10d")
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


@contextmanager
def explained_faults(config: DictConfig, trainer: pl.Trainer) -> Iterator[None]:
    """Replace the errors of common faults in the block by errors that say what happened and what to do.

    Raises:
        Stopped: another process of the run is lost after a signal to stop.
        NonFiniteError: an objective or a gradient is NaN or infinite; the message names the last good checkpoint.
        LostRankError: another process of the run is lost.
        UserError: the disk is full, the port of the processes is taken, memory ran out, a backward pass cannot be
            compiled, or the encoder cannot be differentiated twice, or checkpoints activations with reentry.
    """
    directory = RunDirectory(config.paths.run)
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if directory.last.exists() and trainer.is_global_zero:
            added = "" if wanted_resume(config) == "auto" else " with resume=auto"
            log.warning("Interrupted; the same command%s goes on from %s.", added, directory.last)
        raise
    except NonFiniteError as error:
        raise NonFiniteError(f"{error} Last good checkpoint: {last_good(directory.last) or 'none yet'}.") from None
    except ReentrantCheckpointingError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise UserError(f"No space left for '{directory.path}'. Free some, then continue with resume=auto.") from error
    except (MemoryError, RuntimeError) as error:
        if "EADDRINUSE" in str(error):
            raise UserError(
                f"Port {os.environ.get('MASTER_PORT')}, at which the processes of this run meet, is taken by another"
                " program on this node. Set the environment variable MASTER_PORT to a free one, the same for all"
                " processes."
            ) from error
        lost_rank = several_ranks() and is_of_collective(error) and not is_out_of_memory(error)
        lost_loader = "DataLoader worker" in str(error)
        if (lost_rank or lost_loader) and (number := _signal_to_stop(trainer)) is not None:
            raise Stopped(number) from error  # batch systems signal every process of a job
        if lost_rank:
            raise LostRankError(
                f"The processes of the run lost one another ({str(error).strip().splitlines()[0]}). If one of them was"
                " killed, it was possibly out of memory; else NCCL_DEBUG=INFO shows more of NCCL."
            ) from error
        if "derivative for" in str(error) and "is not implemented" in str(error):
            raise UserError(
                f"This encoder has no second derivative, which curvature.derivative=exact needs ({error}). Set"
                " curvature.derivative=finite_difference or curvature.mode=off."
            ) from error
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise UserError(
                f"Compiling a backward pass failed ({one_line(error, 200)}). Set engine.compile=false and"
                " continue with resume=auto."
            ) from error
        if "use_reentrant=True" in str(error):
            raise UserError(str(ReentrantCheckpointingError())) from error
        if not is_out_of_memory(error):
            raise
        device = trainer.strategy.root_device
        raise UserError(memory_advice(device, config.data.batch_size, config.engine.micro_batch)) from error


def _signal_to_stop(trainer: pl.Trainer) -> int | None:
    received = (callback.received for callback in trainer.checkpoint_callbacks if isinstance(callback, LastCheckpoint))
    return next(received, None)


def is_of_collective(error: BaseException) -> bool:
    """Whether gloo, NCCL or the store of the process group reports that communication failed."""
    return isinstance(error, dist.DistError) or any(word in str(error) for word in _OF_COLLECTIVES)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python reports that memory ran out."""
    refused = isinstance(error, RuntimeError) and any(word in str(error) for word in _OUT_OF_MEMORY)
    return refused or isinstance(error, (MemoryError, torch.OutOfMemoryError))


def memory_advice(device: torch.device, batch_size: int, micro_batch: int | None) -> str:
    """The message about memory that ran out, with the measured peak and the settings that lower it."""
    smaller, peak = max((micro_batch or batch_size) // 2, 1), peak_memory(device)
    used = "" if peak is None else f" {peak / GIB:.1f} GiB were in use at most."
    return (
        f"Out of memory on {device}.{used} engine.micro_batch={smaller} splits a batch into smaller parts, with the"
        " same gradients; engine.space=representation, engine.precision=bf16-mixed, a smaller encoder or a smaller"
        " data.batch_size also need less. Continue from the last checkpoint with resume=auto."
    )

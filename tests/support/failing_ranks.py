"""Runs of three processes, one of which fails at some place of a training."""

import os
import time
from functools import partial

import pytorch_lightning as pl
import torch.distributed as dist
from lightning_utilities.core.rank_zero import rank_zero_only

from gat_lightning.data.dataset import SplitDataset
from gat_lightning.errors import UserError
from gat_lightning.gradients import GradientEngine
from gat_lightning.training.callbacks.last_checkpoint import LastCheckpoint
from gat_lightning.training.callbacks.objective_log import ObjectiveLog
from gat_lightning.training.module import GATModule
from gat_lightning.training.passes import Passes
from support.processes import die, start

RANKS = 3
MESSAGE = "the disk of this rank is full"
NCCL = "NCCL error in: ProcessGroupNCCL.cpp:3690, remote process exited or there was a network error"
STEP = 2
"""Calls of a place before the one that fails."""

PLACES = {
    "loading": (SplitDataset, "stored"),
    "attack": (GATModule, "_draws"),
    "forward": (Passes, "run"),
    "engine": (GradientEngine, "finish"),
    "optimizer": (pl.core.optimizer.LightningOptimizer, "step"),
    "callback": (ObjectiveLog, "on_train_batch_end"),
    "validation": (GATModule, "validation_step"),
    "checkpoint": (LastCheckpoint, "on_save_checkpoint"),
    "test": (GATModule, "test_step"),
}


class Fail(pl.Callback):
    """Lets one rank fail at a place, which any rank can install."""

    def __init__(self, rank, place):
        self.rank, self.place = rank, place

    def setup(self, trainer, pl_module, stage):
        if trainer.global_rank == self.rank and stage == "fit":
            fail_at(self.place)


class CannotBegin(pl.Callback):
    """Cannot be made in a process that another one has started."""

    def __init__(self):
        if os.environ.get("LOCAL_RANK", "0") != "0":
            raise UserError(MESSAGE)


def fail_at(place, fail=None):
    """From now on the third call of a place raises; of those that are called once a phase the first."""
    fail = fail or _fail
    owner, name = PLACES[place]
    original, calls = getattr(owner, name), [0]

    def failing(*arguments, **keywords):
        calls[0] += 1
        if calls[0] > STEP or place in ("validation", "checkpoint", "test"):
            fail()  # which a signal returns from
        return original(*arguments, **keywords)

    setattr(owner, name, failing)


def start_ranks(output, port, arguments=(), **faults):
    """Ranks as ``torchrun`` starts them; rank k says what it says in ``rank<k>.txt``.

    Args:
        faults: what a rank calls before it begins, such as ``rank1=partial(fail_at, "attack")``.
    """
    return [
        start(output, "trainer.accelerator=cpu", f"trainer.devices={RANKS}", *arguments,
              before=partial(_begin, rank, port, faults.get(f"rank{rank}")))
        for rank in range(RANKS)
    ]  # fmt: skip


def said(output, rank):
    return (output / f"rank{rank}.txt").read_text()


def wait_in_collectives():
    """Collectives that do not notice the loss of a rank, as NCCL's."""
    replace_errors(lambda error: time.sleep(600))


def fail_as_nccl():
    """Collectives that notice it as NCCL's do, if they notice it."""

    def fail(error):
        raise dist.DistBackendError(NCCL) from error

    replace_errors(fail)


def replace_errors(handle):
    all_reduce = dist.all_reduce

    def replaced(tensor, *arguments, **keywords):
        try:
            return all_reduce(tensor, *arguments, **keywords)
        except RuntimeError as error:
            handle(error)

    dist.all_reduce = replaced


def fail_in_collective(error):
    """The fifth collective of a training raises the error."""
    all_reduce, calls = dist.all_reduce, [0]

    def failing(tensor, *arguments, **keywords):
        calls[0] += 1
        if calls[0] > STEP + 2:
            raise error
        return all_reduce(tensor, *arguments, **keywords)

    dist.all_reduce = failing


def die_at(place):
    """As :func:`fail_at`, but the process is killed."""
    fail_at(place, die)


def _fail():
    raise UserError(MESSAGE)


def _begin(rank, port, fault):
    log = os.open(f"rank{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    os.environ["WORLD_SIZE"] = str(RANKS)
    rank_zero_only.rank = rank  # which Lightning took from the environment when it was imported
    if fault:
        fault()

"""Errors of collectives are told from others, NCCL's too."""

import pytest
import torch.distributed as dist

from gat_lightning.commands.train import faults
from gat_lightning.commands.train.ended_together import ended_together
from gat_lightning.commands.train.faults import explained_faults
from gat_lightning.errors import UserError
from gat_lightning.runs.ranks import LostRankError, Ranks
from support.configurations import composed
from support.trainers import quiet_trainer

OF_COLLECTIVES = [
    RuntimeError("[../gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:3641: gloo"),
    dist.DistBackendError(
        "NCCL error in: ../torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:3690, remote process exited or there was a"
        " network error, NCCL version 2.28.9\nncclRemoteError: A call failed possibly due to a network error"
    ),
    dist.DistBackendError("[Rank 1]: Watchdog caught collective operation timeout: WorkNCCL(SeqNum=12) ran for 600031"),
    RuntimeError("NCCL communicator was aborted on rank 1."),
    dist.DistNetworkError("The client socket has timed out after 600000ms while trying to connect"),
    dist.DistStoreError("wait timeout after 600000ms, keys: /default_pg/0//cuda//timeout_dump"),
]
OF_MEMORY = dist.DistBackendError(
    "NCCL error in: ProcessGroupNCCL.cpp:77, unhandled cuda error, NCCL version 2.28.9\nncclUnhandledCudaError: Call to"
    " CUDA function failed.\nLast error:\nCuda failure 2 'out of memory'"
)


def explained(monkeypatch, tmp_path, error):
    monkeypatch.setattr(faults, "several_ranks", lambda: True)
    config = composed("train", "experiment=quickstart", f"paths.run={tmp_path}")
    with pytest.raises(UserError) as raised, explained_faults(config, quiet_trainer()):
        raise error
    return raised.value


@pytest.mark.parametrize("error", OF_COLLECTIVES, ids=lambda error: type(error).__name__)
def test_errors_of_collectives_are_a_lost_rank(monkeypatch, tmp_path, error):
    found = explained(monkeypatch, tmp_path, error)
    assert isinstance(found, LostRankError)
    assert str(error).splitlines()[0] in str(found)
    assert "\n" not in str(found)


def test_memory_that_runs_out_in_nccl_is_this_ranks_own_fault(monkeypatch, tmp_path):
    found = explained(monkeypatch, tmp_path, OF_MEMORY)
    assert not isinstance(found, LostRankError)
    assert str(found).startswith("Out of memory on cpu.")


def test_with_one_process_errors_are_as_they_were():
    with pytest.raises(ValueError, match="as it was"), ended_together(quiet_trainer(), pytest.fail):
        raise ValueError("as it was")


def test_the_first_failure_counts():
    ranks = Ranks(0, 1)
    ranks.report("of this rank")
    ranks.lost(1, "later")
    assert ranks.failure == (0, "of this rank")
    with pytest.raises(LostRankError, match=r"^Process 0 of 1: of this rank$"):
        ranks.check()
    ranks.close()


def test_whoever_has_said_goodbye_misses_nobody():
    ranks = Ranks(0, 1)
    ranks.close()
    ranks.lost(1)
    ranks.check()

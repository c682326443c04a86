"""One of three ranks fails: all end within a minute, with its message, whatever the others wait in."""

import signal
import time
from functools import partial

import pytest
import torch.distributed as dist

from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.runs.result import read_result
from support.failing_ranks import (
    MESSAGE,
    NCCL,
    PLACES,
    RANKS,
    STEP,
    die_at,
    fail_as_nccl,
    fail_at,
    fail_in_collective,
    said,
    start_ranks,
    wait_in_collectives,
)
from support.processes import finished, only_run

SECONDS = 60


def ended(output, processes):
    """Exit statuses, and the seconds from the first end to the last."""
    deadline = time.monotonic() + 240
    while all(process.exitcode is None for process in processes):
        assert time.monotonic() < deadline, [said(output, rank) for rank in range(RANKS)]
        time.sleep(0.02)
    first = time.monotonic()
    statuses = [finished(process, output, SECONDS) for process in processes]
    seconds = time.monotonic() - first
    print(f"the last of {RANKS} processes ended {seconds:.1f} s after the first")
    return statuses, seconds


def assert_ended_with(output, processes, rank, message):
    """All ranks have ended with the message of one, which rank 0 alone shows, and records."""
    statuses, seconds = ended(output, processes)
    assert statuses == RANKS * [1]
    assert seconds < SECONDS
    shown = message if rank == 0 else f"Process {rank} of {RANKS}: {message}"
    texts = [said(output, each) for each in range(RANKS)]
    assert f"Error: {shown}" in texts[0]
    assert not any("Traceback" in text or "Error" in text for text in texts[1:])
    result = read_result(only_run(output))
    assert (result.status, result.error) == ("failed", shown)
    return seconds


@pytest.mark.slow
@pytest.mark.parametrize(("place", "rank"), [(place, number % RANKS) for number, place in enumerate(PLACES)])
def test_all_end_with_the_message_of_the_rank_that_failed(tmp_path, free_port, place, rank):
    processes = start_ranks(tmp_path, free_port, **{f"rank{rank}": partial(fail_at, place)})
    assert_ended_with(tmp_path, processes, rank, MESSAGE)


def with_others(rank, fault, others):
    """What each rank calls before it begins."""
    return {f"rank{each}": fault if each == rank else others for each in range(RANKS)}


@pytest.mark.slow
@pytest.mark.parametrize("rank", range(RANKS))
@pytest.mark.parametrize("others", [wait_in_collectives, fail_as_nccl])
def test_nor_do_the_others_wait_in_collectives_as_those_of_nccl(tmp_path, free_port, rank, others):
    faults = with_others(rank, partial(fail_at, "engine"), others)
    assert_ended_with(tmp_path, start_ranks(tmp_path, free_port, **faults), rank, MESSAGE)


@pytest.mark.slow
@pytest.mark.parametrize("rank", range(RANKS))
def test_a_rank_that_is_killed_is_named(tmp_path, free_port, rank):
    faults = with_others(rank, partial(die_at, "forward"), wait_in_collectives)
    processes = start_ranks(tmp_path, free_port, **faults)
    statuses, seconds = ended(tmp_path, processes)
    assert statuses == [-signal.SIGKILL if each == rank else 1 for each in range(RANKS)]
    assert seconds < SECONDS
    shown = f"Process {rank} of {RANKS}: it ended without a message; it was killed, possibly out of memory."
    tellers = [1, 2] if rank == 0 else [0]
    assert [each for each in range(RANKS) if f"Error: {shown}" in said(tmp_path, each)] == tellers
    if rank != 0:
        result = read_result(only_run(tmp_path))
        assert (result.status, result.error) == ("failed", shown)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_of_nccl_on_one_rank_ends_all(tmp_path, free_port, rank):
    fault = partial(fail_in_collective, dist.DistBackendError(NCCL))
    processes = start_ranks(tmp_path, free_port, **with_others(rank, fault, wait_in_collectives))
    statuses, seconds = ended(tmp_path, processes)
    assert statuses == RANKS * [1]
    assert seconds < SECONDS
    shown = f"The processes of the run lost one another ({NCCL})"
    assert shown in said(tmp_path, 0)
    assert "Error" not in said(tmp_path, 1) + said(tmp_path, 2)
    assert shown in read_result(only_run(tmp_path)).error


def divide_by_zero():
    return 1 / 0


@pytest.mark.slow
def test_a_fault_of_the_program_keeps_its_traceback(tmp_path, free_port):
    processes = start_ranks(tmp_path, free_port, rank2=partial(fail_at, "engine", divide_by_zero))
    statuses, _ = ended(tmp_path, processes)
    assert statuses == RANKS * [1]
    assert f"Error: Process 2 of {RANKS}: ZeroDivisionError: division by zero (the traceback is" in said(tmp_path, 0)
    assert "Traceback" in said(tmp_path, 2)
    assert "Error" not in said(tmp_path, 1)


@pytest.mark.slow
def test_a_signal_to_rank_0_stops_all_after_the_next_batch(tmp_path, free_port):
    signalled = partial(fail_at, "forward", partial(signal.raise_signal, signal.SIGTERM))
    processes = start_ranks(tmp_path, free_port, ["data.batch_size=16"], rank0=signalled)
    statuses, _ = ended(tmp_path, processes)
    assert statuses == RANKS * [128 + signal.SIGTERM]
    assert read_result(only_run(tmp_path)).status == "interrupted"
    assert load_checkpoint(only_run(tmp_path) / "checkpoints" / "last.ckpt")["global_step"] == STEP + 2

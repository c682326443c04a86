"""Between processes and devices: collectives, free of cost with one process, and copies that nothing waits for."""

from collections.abc import Iterable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

_T = TypeVar("_T")


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum of every rank's ``tensor``, in place and without gradient; with one process the tensor itself."""
    if several_ranks() and tensor.numel():
        dist.all_reduce(tensor)
    return tensor


def copy_to_ranks(tensors: Iterable[Tensor]) -> None:
    """Give every rank the values of rank 0, in place."""
    if several_ranks():
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def gather_from_ranks(value: _T) -> list[_T]:
    """Every rank's ``value``, in the order of the ranks, on all ranks; it is pickled on the way."""
    if not several_ranks():
        return [value]
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def of_rank_0(value: _T) -> _T:
    """Rank 0's ``value``, on all ranks; it is pickled on the way."""
    values = [value]
    if several_ranks():
        dist.broadcast_object_list(values, 0)
    return values[0]


def several_ranks() -> bool:
    """Whether the run has more than one process."""
    return rank_count() > 1


def rank_count() -> int:
    """The number of processes of the process group; 1 without one."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """``tensor`` on ``device``; itself if it is there.

    A GPU copies from pinned memory while the process goes on. Copies from a GPU are complete when this returns.
    """
    if torch.device(device).type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)

"""Sums over the processes of a run, and copies to them; with one process they cost nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import torch.distributed as dist
from torch import Tensor

from gat_lightning.errors import UserError

_T = TypeVar("_T")


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum of every rank's ``tensor``, in place and without gradient; with one process the tensor itself.

    Raises:
        UserError: another process has stopped.
    """
    if _several_ranks():
        try:
            dist.all_reduce(tensor)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"Process {dist.get_rank()} of {dist.get_world_size()} lost another one, whose own message says why"
                f" ({reason})."
            ) from error
    return tensor


def copy_to_ranks(tensors: Iterable[Tensor]) -> None:
    """Give every rank the values of rank 0, in place."""
    if _several_ranks():
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def gather_from_ranks(value: _T) -> list[_T]:
    """Every rank's ``value``, in the order of the ranks, on all ranks; it is pickled on the way."""
    if not _several_ranks():
        return [value]
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def _several_ranks() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1

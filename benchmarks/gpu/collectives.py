"""The collectives of a run of several processes on NCCL, in a group of one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch.distributed as dist

from benchmarks.gpu.commands import SMALL, TWO
from benchmarks.gpu.launch import trained
from benchmarks.gpu.machine import Machine
from gat_lightning import distributed

CALLS = 50
TRAININGS: dict[str, tuple[str, ...]] = {
    "exact": (TWO,),
    "weight perturbation, channels-last": (TWO, "awp.gamma=0.01", "engine.channels_last=true"),
    "free": ("task=none", "method=free"),
    "representation, penalty": (TWO, "engine.space=representation", "curvature.mode=penalty"),
    "moving average": (TWO, "callbacks=default+ema"),
}


def training(machine: Machine, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Three steps of a training that does every collective as if there were further processes."""
    with _group(machine), patch.object(distributed, "several_ranks", lambda: True):
        trained(machine, *SMALL, *overrides)
        return {"back end": dist.get_backend()}


def broadcast(machine: Machine) -> dict[str, Any]:
    """Duration of a broadcast of a small object."""
    objects = [(True, None)]
    with _group(machine):
        seconds = machine.seconds(lambda: dist.broadcast_object_list(objects, 0), CALLS)
    return {"microseconds": round(1e6 * seconds)}


@contextmanager
def _group(machine: Machine) -> Iterator[None]:
    """A process group of this process alone: NCCL on a GPU, and gloo where a CPU rehearses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    device = machine.sized({"device_id": machine.device}, {})
    dist.init_process_group(machine.sized("nccl", "gloo"), rank=0, world_size=1, **device)
    try:
        yield
    finally:
        dist.destroy_process_group()

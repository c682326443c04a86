"""Peak memory of a contestant, measured in a process of its own: `python -m benchmarks.memory NAME WORK`."""

from __future__ import annotations

import json
import subprocess
import sys

import torch

from benchmarks.contestants import CONTESTANTS
from benchmarks.work import Work
from gat_lightning.errors import UserError
from gat_lightning.training.callbacks.peak_memory import resident_peak

STEPS = 2


def peak_memory(name: str, work: Work) -> float:
    """MiB that two steps of a contestant take at most, on top of a process that has run its model forward once.

    Raises:
        RuntimeError: the process failed.
    """
    command = [sys.executable, "-m", "benchmarks.memory", name, work.to_json()]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"memory of {name}: {done.stderr}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def measure(name: str, work: Work) -> float:
    """The same in this process, whose peak so far must be that of the forward."""
    if work.threads:
        torch.set_num_threads(work.threads)
    contestant = CONTESTANTS[name](work)
    with torch.no_grad():
        work.model().eval()(work.data(0).images)
    if work.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        before = _peak_resident()
    for index in range(STEPS):
        contestant.step(index)
    after = torch.cuda.max_memory_allocated() if work.device == "cuda" else _peak_resident()
    return (after - before) / 2**20


def _peak_resident() -> int:
    """Largest resident set of this program so far, in bytes."""
    peak = resident_peak()
    if peak is None:
        raise UserError("this system does not tell a process's peak memory")
    return peak


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Work.from_json(sys.argv[2]))))

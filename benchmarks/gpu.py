"""`python -m benchmarks.gpu OUT`: what only a GPU shows, in one process and within a time budget.

The most important phases come first; one that fails is a finding. `OUT/gpu.jsonl` gets a line for each finding.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import gpu_commands, gpu_kernels, gpu_steps
from benchmarks.findings import Findings
from benchmarks.gpu_machine import Machine
from gat_lightning.runs.environment import environment as describe


@dataclass(frozen=True)
class Phase:
    """Something to find out.

    Attributes:
        run: finds it out.
        seconds: without which it is not begun.
    """

    run: Callable[[Findings, Machine], None]
    seconds: float


def environment(findings: Findings, machine: Machine) -> None:
    """Versions, hardware, and which products TF32 may round."""
    found = describe(machine.device)
    if machine.is_gpu:
        properties = torch.cuda.get_device_properties(machine.device)
        found |= {
            "multiprocessors": properties.multi_processor_count,
            "memory (GiB)": properties.total_memory >> 30,
            "cuDNN": torch.backends.cudnn.version(),
            "TF32 convolutions": torch.backends.cudnn.allow_tf32,
            "TF32 products": torch.get_float32_matmul_precision(),
        }
    findings.say("environment", "versions", **found)


PHASES = {
    "environment": Phase(environment, 5),
    "commands": Phase(gpu_commands.every_path, 60),
    "numerics": Phase(gpu_steps.numerics, 30),
    "collectives": Phase(gpu_commands.collectives, 20),
    "gramian": Phase(gpu_kernels.gramian_blocks, 15),
    "step": Phase(gpu_steps.variants, 60),
    "graph": Phase(gpu_kernels.attack_as_graph, 40),
    "compiled": Phase(gpu_steps.compiled, 100),
    "throughput": Phase(gpu_commands.throughput, 25),
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of gpu.jsonl")
    parser.add_argument("--seconds", type=float, default=470, help="time budget (default: 470)")
    names = ", ".join(PHASES)
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=list(PHASES), metavar="PHASE", help=names)
    parser.add_argument("--cpu", action="store_true", help="rehearse on a CPU with tiny models; figures mean nothing")
    return parser.parse_args()


def main() -> None:
    """Run the phases for which there is time."""
    given = arguments()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts; deterministic products need it
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    findings = Findings(given.out / "gpu.jsonl", given.seconds)
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(torch.device("cpu" if given.cpu else "cuda:0"), Path(folder))
        for name in given.phases:
            if findings.has_time(name, PHASES[name].seconds):
                with findings.attempt(name, "phase"):
                    PHASES[name].run(findings, machine)
                machine.reset()
                gc.collect()


if __name__ == "__main__":
    main()

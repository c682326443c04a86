"""Hydra plugin that runs evaluations side by side, each in a process and on a GPU of its own."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gat_lightning.config.points import PointLauncher, Points
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import setting_of
from gat_lightning.runs.signals import stopping_at_once
from gat_lightning.runs.sweeps import Sweep
from gat_lightning.validate import check_int

_SECONDS_TO_END = 30.0
_ERROR = "Error: "


class ProcessLauncher(PointLauncher):
    """Runs each point by a command of its own, several at a time. What one prints is shown when it has ended.

    Each process has a GPU of its own where there are several, and its share of the threads. All of them end with this
    one.

    Args:
        jobs: number of processes at a time.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = check_int("jobs", jobs)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Nothing: the commands compose their points themselves."""

    def launch_points(self, points: Sequence[Sequence[str]], composed: Points, record: Sweep) -> Sequence[JobReturn]:
        """Run the points.

        Raises:
            Stopped: a signal to stop, which the processes are sent too.
        """
        slots = min(self._jobs, len(points))
        waiting, running = deque(range(len(points))), dict[int, _Process]()
        returns: dict[int, JobReturn] = {}
        print(f"{len(points)} evaluations, {slots} at a time. Each prints its results when it has ended.", flush=True)
        with TemporaryDirectory() as folder, stopping_at_once():
            try:
                while waiting or running:
                    for slot in [each for each in range(slots) if each not in running][: len(waiting)]:
                        place = waiting.popleft()
                        config = composed(points[place])
                        words = [*_folders_of_settings(config), *points[place]]
                        environment = _environment(slot, slots, str(config.device))
                        running[slot] = _start(place, words, environment, Path(folder))
                    time.sleep(0.1)
                    for slot in [each for each, process in running.items() if process.has_ended]:
                        process = running.pop(slot)
                        returns[process.place] = process.returned(points[process.place])
            finally:
                _end(process.popen for process in running.values())
        return [returns[place] for place in range(len(points))]


@dataclass
class _Process:
    """A command that evaluates one point.

    Attributes:
        place: of the point among all.
        popen: the process.
        printed: file of what it prints.
        said: file of its errors.
    """

    place: int
    popen: subprocess.Popen[bytes]
    printed: Path
    said: Path

    @property
    def has_ended(self) -> bool:
        return self.popen.poll() is not None

    def returned(self, overrides: Sequence[str]) -> JobReturn:
        """How it ended. What it printed is shown, except its last error, which the sweep lists at its end."""
        said = self.said.read_text(errors="replace").rstrip()
        before, _, last = said.rpartition("\n")
        error = None
        if self.popen.returncode != 0:
            error = UserError(last.removeprefix(_ERROR) or f"it ended with {self.popen.returncode}")
            said = before if last.startswith(_ERROR) else said
        print(self.printed.read_text(errors="replace"), end="", flush=True)
        if said:
            print(said, file=sys.stderr, flush=True)
        status = JobStatus.COMPLETED if error is None else JobStatus.FAILED
        return JobReturn(overrides=overrides, status=status, _return_value=error)


def _start(place: int, words: Sequence[str], environment: dict[str, str], folder: Path) -> _Process:
    command = [sys.executable, "-m", "gat_lightning.evaluate", *(word for word in words if setting_of(word) != "jobs")]
    printed, said = folder / f"{place}.out", folder / f"{place}.err"
    with printed.open("wb") as output, said.open("wb") as errors:
        popen = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdout=output,
            stderr=errors,
            start_new_session=True,  # so that Ctrl-C is sent once, by this process
        )
    return _Process(place, popen, printed, said)


def _folders_of_settings(config: DictConfig) -> list[str]:
    """The options of Hydra that name the user's own folders of settings."""
    sources = config.hydra.runtime.config_sources
    return [f"--config-dir={source.path}" for source in sources if source.provider == "command-line"]


def _environment(slot: int, slots: int, device: str) -> dict[str, str]:
    """Variables of the process in one of several slots."""
    import torch

    from gat_lightning.runs.ranks import PARENT

    shared = {PARENT: str(os.getpid()), "OMP_NUM_THREADS": str(max(torch.get_num_threads() // slots, 1))}
    gpus = _gpus(torch.cuda.device_count()) if device in ("auto", "cuda") else []
    return {**shared, "CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if len(gpus) > 1 else shared


def _gpus(count: int) -> list[str]:
    """The GPUs that this process may use, as CUDA names them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return given.split(",")[:count] if given else list(map(str, range(count)))


def _end(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    running = list(processes)
    for process in running:
        process.send_signal(signal.SIGTERM)
    for process in running:
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()

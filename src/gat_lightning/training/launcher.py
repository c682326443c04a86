"""Start of the other ranks of a run on this machine, and their end."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning_fabric.plugins import ClusterEnvironment
from lightning_fabric.utilities.distributed import _set_num_threads_if_needed
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher
from torch.distributed.distributed_c10d import _abort_process_group

from gat_lightning.runs.ranks import PARENT, Ranks
from gat_lightning.training.callbacks.rank_watch import RankWatch

SECONDS_TO_END = 20.0
"""How long the other ranks may take to end after this one."""

_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", PARENT)

_started: list[subprocess.Popen[bytes]] = []


class RankLauncher(_SubprocessScriptLauncher):
    """Starts the other ranks of this machine by the command of this one, and misses those that end too early.

    Lightning's own launcher kills this process too where one of them fails, before it has recorded why. In a sweep the
    others get the settings of this point alone.

    Args:
        environment: of the run's processes.
        processes: how many there are on this machine.
        nodes: how many machines there are.
        ranks: all processes of the run.
    """

    def __init__(self, environment: ClusterEnvironment, processes: int, nodes: int, ranks: Ranks) -> None:
        super().__init__(environment, processes, nodes)
        self.ranks = ranks

    def launch(self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any) -> Any:
        """Start the others, unless SLURM or torchrun does or they are there already, and call the function."""
        environment = self.cluster_environment
        environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not environment.creates_processes_externally:
            self._start_others()
        _set_num_threads_if_needed(num_processes=self.num_processes)
        return function(*args, **kwargs)

    def _start_others(self) -> None:
        environment = self.cluster_environment
        os.environ.update({
            "MASTER_ADDR": environment.main_address,
            "MASTER_PORT": str(environment.main_port),
            "NODE_RANK": str(environment.node_rank()),
            "LOCAL_RANK": "0",
            "WORLD_SIZE": str(self.num_processes * self.num_nodes),
            PARENT: str(os.getpid()),
        })  # fmt: skip
        for local_rank in range(1, self.num_processes):
            process = subprocess.Popen(_command(local_rank), env=os.environ | {"LOCAL_RANK": str(local_rank)})
            rank = environment.node_rank() * self.num_processes + local_rank
            threading.Thread(target=self._miss, args=(rank, process), daemon=True).start()
            _started.append(process)

    def _miss(self, rank: int, process: subprocess.Popen[bytes]) -> None:
        if (status := process.wait()) != 0:
            self.ranks.lost(rank, f"it ended with status {status}; its own message is above." if status > 0 else None)


def watch_ranks(trainer: pl.Trainer) -> None:
    """Let the ranks of a trainer start, and watch one another, by a :class:`RankLauncher`, if each has a process."""
    strategy = trainer.strategy
    if isinstance(strategy.launcher, _SubprocessScriptLauncher):
        before, ranks = strategy.launcher, Ranks(trainer.global_rank, trainer.world_size)
        strategy._launcher = RankLauncher(before.cluster_environment, before.num_processes, before.num_nodes, ranks)
        trainer.callbacks.append(RankWatch(ranks))  # type: ignore[attr-defined]


@contextmanager
def own_ranks() -> Iterator[None]:
    """Ends the ranks that the block has started, and the process group, so that another run can follow."""
    before = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        yield
    except BaseException:
        if dist.is_initialized() and dist.get_backend() == "nccl":
            _abort_process_group()  # which destroy_process_group might wait in, where others are lost
        raise
    finally:
        if _started:
            _end_others()
            if dist.is_initialized():
                dist.destroy_process_group()
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def _end_others() -> None:
    while _started:
        process = _started.pop()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()


def _command(local_rank: int) -> list[str]:
    """This process's command, for another rank of the same run directory."""
    main: Any = sys.modules["__main__"]
    if not HydraConfig.initialized():
        own = ["-m", main.__spec__.name] if main.__spec__ else [os.path.abspath(sys.argv[0])]
        return [sys.executable, *own, *sys.argv[1:]]
    hydra = HydraConfig.get()
    words = sys.argv[1:]
    if hydra.mode is RunMode.MULTIRUN:
        folders = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
        words = [*(f"--config-dir={folder}" for folder in folders), *hydra.overrides.task, "paper.table=null"]
    directory = f'"{hydra.runtime.output_dir}"'
    return [
        *(sys.executable, "-m", "gat_lightning.train", *words),
        *(f"hydra.run.dir={directory}", f"hydra.job.name=rank{local_rank}", "hydra.output_subdir=null"),
    ]

"""Processes of a run on other nodes, or of other tasks of a job, which it waits for at its start."""

import os
import warnings
from collections.abc import Sequence

from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.lsf import LSFEnvironment
from lightning_fabric.plugins.environments.mpi import MPIEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from omegaconf import DictConfig

from gat_lightning.errors import UserError
from gat_lightning.runs.slurm import tasks_per_node

# In the order in which Lightning looks for them.
_LAUNCHERS = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment, LightningEnvironment)
_WITHOUT_COMMAND = ("ddp_spawn", "ddp_fork", "ddp_notebook")
_SET_BY_HAND = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")


def check_processes(trainer: DictConfig) -> None:
    """Check that somebody starts the other processes of a run.

    Raises:
        UserError: this process would wait for others that nobody starts, or they would be no commands of their own.
    """
    if str(trainer.get("strategy")).startswith(_WITHOUT_COMMAND):
        raise UserError(
            f"trainer.strategy={trainer.strategy}: each process of a run is a command of its own, so that all of them"
            " train and test. Leave it out; trainer.devices=N starts them."
        )
    launcher, nodes = _launcher(), trainer.get("num_nodes", 1)
    if launcher is LightningEnvironment and nodes > 1:
        missing = [name for name in _SET_BY_HAND if name not in os.environ]
        if missing:
            raise UserError(
                f"trainer.num_nodes={nodes}: this process was started alone and would wait for the other nodes for"
                " ever. Start it on every node: by srun (hydra/launcher=slurm does), by torchrun, or by hand with"
                f" {', '.join(missing)} set. On one machine set trainer.devices=N instead."
            )
    if launcher is SLURMEnvironment:
        _check_tasks(trainer.devices, nodes)


def _check_tasks(devices: int | str | Sequence[int], nodes: int) -> None:
    """Check that srun has started a task of the job for each device, as Lightning takes for granted."""
    by_srun, tasks = "SLURM_STEP_ID" in os.environ, int(os.environ["SLURM_NTASKS"])
    if not by_srun and (tasks > 1 or "SLURM_PROCID" not in os.environ):
        raise UserError(
            f"This process runs in a SLURM job of {tasks} task{'s' if tasks > 1 else ''} without being one of them:"
            " start it with srun (srun python -m ...)."
        )
    if devices in ("auto", -1, "-1"):
        return
    here = tasks_per_node(devices)
    if here * nodes != tasks:
        raise UserError(
            f"trainer.devices={devices} needs a process for each device, and this SLURM job has {tasks} in all: start"
            f" it with srun --nodes={nodes} --ntasks-per-node={here}, in a job that has as many tasks."
        )


class SLURMStepEnvironment(SLURMEnvironment):
    """Processes that one srun has started, which meet at a port of their own.

    Lightning takes the same port for the whole job, in which several srun may be at work on one node.
    """

    @property
    def main_port(self) -> int:
        """``MASTER_PORT`` where it is set, else one from 15000 to 24999 by the numbers of job and step."""
        job, step = (int(os.environ.get(name, "0")) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
        os.environ.setdefault("MASTER_PORT", str(15000 + (job + 1009 * step) % 10000))
        port: int = super().main_port
        return port


def process_plugins() -> list[SLURMEnvironment]:
    """What Lightning needs to be told about the processes of the run: nothing outside SLURM."""
    return [SLURMStepEnvironment()] if _launcher() is SLURMEnvironment else []


def _launcher() -> type:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, that there is srun and it was not used
        return next(kind for kind in _LAUNCHERS if kind.detect())

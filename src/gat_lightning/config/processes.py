"""Processes of a run on other nodes, or of other tasks of a job, which it waits for at its start."""

import os
import warnings

from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.lsf import LSFEnvironment
from lightning_fabric.plugins.environments.mpi import MPIEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from omegaconf import DictConfig

from gat_lightning.errors import UserError

# In the order in which Lightning looks for them.
_LAUNCHERS = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment, LightningEnvironment)
_SET_BY_HAND = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")


def check_processes(trainer: DictConfig) -> None:
    """Check that somebody starts the other processes of a run.

    Raises:
        UserError: this process would wait for others that nobody starts.
    """
    launcher, nodes = _launcher(), trainer.get("num_nodes", 1)
    if launcher is LightningEnvironment and nodes > 1:
        missing = [name for name in _SET_BY_HAND if name not in os.environ]
        if missing:
            raise UserError(
                f"trainer.num_nodes={nodes}: this process was started alone and would wait for the other nodes for"
                " ever. Start it on every node: by srun (hydra/launcher=slurm does), by torchrun, or by hand with"
                f" {', '.join(missing)} set. On one machine set trainer.devices=N instead."
            )
    tasks = os.environ.get("SLURM_NTASKS", "1")
    if launcher is SLURMEnvironment and tasks != "1" and "SLURM_STEP_ID" not in os.environ:
        raise UserError(
            f"This SLURM job has {tasks} tasks, and this process was not started by srun: it would wait for the other"
            " tasks for ever. Put srun in front of the command, or ask for one task (--ntasks=1)."
        )


def _launcher() -> type:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, that there is srun and it was not used
        return next(kind for kind in _LAUNCHERS if kind.detect())

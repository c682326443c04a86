"""SLURM on this machine alone, with its files in one folder: a controller and a node, as root."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CORES = 8

SETTINGS = """
ClusterName=local
SlurmctldHost={host}
SlurmctldPort={port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=20
SchedulerParameters=sched_interval=2,batch_sched_delay=0,requeue_delay=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=8000 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=5 PreemptMode=OFF
PartitionName=grace Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=30
PartitionName=nograce Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=0
PartitionName=short Nodes=ALL MaxTime=2 State=UP PriorityTier=5 PreemptMode=OFF
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9 PreemptMode=OFF
"""


def install() -> str | None:
    """Installs what is missing of SLURM; why that was not possible, or None."""
    if os.geteuid() != 0:
        return "SLURM can be started by root alone"
    if all(shutil.which(program) for program in PROGRAMS):
        return None
    if shutil.which("apt-get") is None:
        return f"there is neither SLURM ({', '.join(PROGRAMS)}) nor apt-get"
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "slurm-wlm", "munge"]):
        done = subprocess.run(["apt-get", *command], capture_output=True, text=True, timeout=300)
        if done.returncode:
            return f"apt-get {command[0]}: {done.stderr.strip().splitlines()[-1:]}"
    return None


class Cluster:
    """A running cluster; ``with`` stops it."""

    def __init__(self, folder: Path, port: int, node_port: int):
        self.folder = folder
        self.host = subprocess.run(["hostname", "-s"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("state", "spool"):
            (folder / name).mkdir()
        self.settings = folder / "slurm.conf"
        self.settings.write_text(
            SETTINGS.format(folder=folder, host=self.host, port=port, node_port=node_port, cores=CORES)
        )
        self.environment = os.environ | {"SLURM_CONF": str(self.settings)}

    def __enter__(self):
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        files = {"key-file": key, "socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log",
                 "seed-file": "munge.seed"}  # fmt: skip
        options = [f"--{name}={self.folder / value}" for name, value in files.items()]
        self._start("munged", "--force", *options)
        self._start("slurmctld", "-c")
        time.sleep(2)
        self._start("slurmd", "-N", self.host)
        deadline = time.monotonic() + 60
        while "idle" not in self.ask("sinfo", "--noheader", "--format=%T"):
            assert time.monotonic() < deadline, self.ask("sinfo") + (self.folder / "slurmctld.log").read_text()
            time.sleep(0.5)
        return self

    def __exit__(self, *error):
        self.ask("scancel", "--user=root")
        deadline = time.monotonic() + 40
        while self.ask("squeue", "--noheader").strip() and time.monotonic() < deadline:
            time.sleep(0.5)
        for name in ("slurmd.pid", "slurmctld.pid", "munge.pid"):
            path = self.folder / name
            if path.exists():
                subprocess.run(["kill", path.read_text().strip()], check=False)
                deadline = time.monotonic() + 20
                while path.exists() and time.monotonic() < deadline:
                    time.sleep(0.2)

    def ask(self, *command: str) -> str:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60).stdout

    def _start(self, *command: str) -> None:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (command, done.stderr)


def started_cluster(folder: Path, refuse: Callable[[str], object]) -> Cluster:
    """A cluster with its files in this folder; ``refuse`` is called with the reason where there can be none."""
    if (reason := install()) is not None:
        refuse(reason)
    return Cluster(folder, *_free_ports(2))


def _free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports

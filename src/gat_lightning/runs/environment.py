"""Git state, package versions and hardware that a run used."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

_PACKAGES = (
    "gat-lightning", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf",
    "torchattacks", "numpy", "scikit-learn",
)  # fmt: skip
_OF_A_RUN = ("--", ":/src", ":/conf")
_BUT_KEPT_RESULTS = ("--", ":/", ":(top,exclude)results")


def environment(device: torch.device, processes: int = 1) -> dict[str, Any]:
    """The fields ``git``, ``versions`` and ``device`` of a :class:`~gat_lightning.runs.result.Result`.

    Args:
        device: of this process.
        processes: how many the run has, each with a device.
    """
    return {"git": git_state(), "versions": versions(), "device": {**_of(device), "processes": processes}}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that figures depend on."""
    packages = {package: importlib.metadata.version(package) for package in _PACKAGES}
    return {"python": platform.python_version(), **packages}


def git_state() -> dict[str, Any] | None:
    """Commit of the checkout that this code runs from; None for an installed wheel.

    It is ``dirty`` if a file that git tracks was changed, or if there is a new one among the code and the
    configuration. Other new files, such as a report, change nothing of what a run does, nor do kept results that were
    deleted to be made anew.
    """
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        if not git("ls-files", Path(__file__).name):
            return None
        changed = git("status", "--porcelain", "--untracked-files=no", *_BUT_KEPT_RESULTS)
        changed = changed or git("status", "--porcelain", *_OF_A_RUN)
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.SubprocessError):
        return None


def _of(device: torch.device) -> dict[str, Any]:
    is_cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if is_cuda else platform.processor() or platform.machine()
    return {"type": device.type, "threads": torch.get_num_threads(), "name": name}

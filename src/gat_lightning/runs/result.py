"""``result.json``: the record of a run, for people and for reports."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from gat_lightning.errors import UserError
from gat_lightning.files import atomic_write
from gat_lightning.runs.layout import RunDirectory

SCHEMA = 1
_PACKAGES = (
    "gat-lightning", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf",
    "torchattacks", "numpy", "scikit-learn",
)  # fmt: skip


def write_result(directory: Path, content: dict[str, Any]) -> Path:
    """Write ``result.json`` atomically.

    Args:
        directory: the run directory.
        content: plain types; NaN and infinity become null. Paths under the current folder are written relative to it,
            so that a folder of results can be moved and read elsewhere.

    Raises:
        UserError: it cannot be written, for example because the disk is full.
    """
    path = RunDirectory(directory).result
    portable = _portable(content, f"{Path.cwd()}{os.sep}")
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps({"schema": SCHEMA, **portable}, indent=2, allow_nan=False))
    except OSError as error:
        raise UserError(
            f"'{path}' could not be written ({error.strerror}). Make room, then use resume=auto."
        ) from error
    return path


def read_result(directory: Path) -> dict[str, Any]:
    """What :func:`write_result` wrote."""
    content: dict[str, Any] = json.loads(RunDirectory(directory).result.read_text())
    return content


def environment(device: torch.device | None = None) -> dict[str, Any]:
    """Git state, package versions and hardware of this process."""
    return {"git": _git_state(), "versions": _versions(), "device": _device(device)}


def _portable(value: Any, here: str) -> Any:
    if isinstance(value, dict):
        return {str(key): _portable(item, here) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(item, here) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value.removeprefix(here) if isinstance(value, str) else value


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return versions


def _git_state() -> dict[str, Any] | None:
    """Commit of the checkout that this code runs from; None for an installed wheel."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        if not git("ls-files", Path(__file__).name):
            return None
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _device(device: torch.device | None) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "cpu" if device is None else device.type, "threads": torch.get_num_threads()}
    if device is not None and device.type == "cuda":
        described["name"] = torch.cuda.get_device_name(device)
    else:
        described["name"] = platform.processor() or platform.machine()
    return described

"""Commands as a user types them, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def start(*arguments: str, cwd: Path, module: str = "gat_lightning.train", **variables: str) -> subprocess.Popen[str]:
    """Start a command.

    Args:
        variables: of the environment, besides those of the tests.
    """
    return subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=cwd, **_settings(variables))


def command(
    *arguments: str, cwd: Path, module: str = "gat_lightning.train", timeout: float = 900, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, at most ``timeout`` seconds."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=cwd, timeout=timeout, check=False, **_settings(variables)
    )


def _settings(variables: dict[str, str]) -> dict[str, Any]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": ""} | variables
    return {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

"""Commands as a user types them, each in a process of its own."""

import os
import subprocess
import sys


def command(*arguments, cwd, module="gat_lightning.train", **variables):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": ""} | variables
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )

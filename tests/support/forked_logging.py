"""A logger that a process and its fork use one after the other."""

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import os, sys
from gat_lightning.loggers import tensorboard, wandb
logger = {logger}
logger.begin({{}}, None)
child = os.fork()
if child == 0:
    for step in range(20):
        logger.log_metrics({{"x": step}}, step)
    logger.finalize("success")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
logger.log_metrics({{"x": 20}}, 20)
logger.end("finished", {{}})
"""


def log_from_a_fork(logger: str, directory: Path) -> None:
    """Log ``x`` of steps 0 to 19 in the fork, and of step 20 after it.

    Args:
        logger: the expression that makes it; ``sys.argv[1]`` is the directory.
    """
    program = [sys.executable, "-c", _PROGRAM.format(logger=logger), str(directory)]
    subprocess.run(program, check=True, timeout=400, stdout=subprocess.DEVNULL)

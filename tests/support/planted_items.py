"""Measurements that go wrong, each in its own way."""

import os
import signal
import time
from pathlib import Path


def figure(value):
    return {"figure": value}


def marked(path):
    """Leaves its process's number, so that a test sees which process it was."""
    Path(path).write_text(str(os.getpid()))
    return {}


def raises():
    raise ValueError("no such figure")


def leaves():
    raise SystemExit(3)


def runs_out_of_memory():
    """What the system does then."""
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(path):
    """With a child, which is to end too."""
    child = os.fork()
    if child:
        Path(path).write_text(str(child))
    time.sleep(600)


def crashes():
    os._exit(7)

"""How much memory something takes while it runs, from Linux' own account of this process."""

from pathlib import Path

import pytest

SLACK = 8 * 2**20
"""What an allocator and a library may keep for themselves, in bytes."""


def peak_of(work):
    """The most bytes that this process held while ``work`` was done, beyond those before."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins again at what is held now
    except OSError:
        pytest.skip("the peak of one call is known on Linux only")
    before = held("VmRSS")
    work()
    return held("VmHWM") - before


def held(name):
    """A figure of ``/proc/self/status``, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

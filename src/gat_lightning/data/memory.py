"""Free memory."""

from pathlib import Path, PurePosixPath

from gat_lightning.errors import UserError

_SHARE = 0.8


def check_memory(needed: int, what: str, remedy: str = "") -> None:
    """Raise `UserError` if something needs more than 80 % of the free memory.

    Args:
        needed: bytes.
        what: the subject of the message, such as ``26 pictures``.
        remedy: the end of the message.
    """
    available = available_memory()
    if available is not None and needed > _SHARE * available:
        raise UserError(
            f"{what} would take {needed / 2**30:.1f} GiB of memory, which is more than {_SHARE:.0%} of the"
            f" {available / 2**30:.1f} GiB available{remedy}"
        )


def available_memory(system: Path = Path("/")) -> int | None:
    """Free memory of this process in bytes: that of the machine, or less under the limit of a control group.

    Schedulers such as SLURM and container engines set such limits (cgroup version 1 or 2). Cached files count as free.

    Args:
        system: root of the file system that contains ``proc`` and ``sys``.

    Returns:
        Number of bytes; ``None`` if unknown (not on Linux).
    """
    try:
        lines = (system / "proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        groups = [line.split(":", 2) for line in (system / "proc/self/cgroup").read_text().splitlines()]
    except (OSError, StopIteration):
        return None
    for _, controllers, path in groups:
        group = PurePosixPath(path.lstrip("/"))
        if not controllers:
            mount, limit, usage = system / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            mount, limit, usage = system / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        for folder in (mount / group, *(mount / parent for parent in group.parents)):
            available = min(available, _left(folder, limit, usage, available))
    return available


def _left(folder: Path, limit: str, usage: str, otherwise: int) -> int:
    try:
        allowed, used = int((folder / limit).read_text()), int((folder / usage).read_text())
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # not visible from here, or "max"
        return otherwise
    cached = sum(
        int(statistics.get(f"total_{name}", statistics.get(name, 0))) for name in ("active_file", "inactive_file")
    )
    return max(allowed - used + cached, 0)

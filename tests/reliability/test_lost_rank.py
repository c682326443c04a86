"""One of three processes of a run is killed: the others end soon, and say why."""

import os
import signal
import time

import pytest

from gat_lightning.runs.result import read_result
from support.processes import finished, rows_logged, start_command, wait_for

SECONDS = 60
RANKS = 3


def children(pid):
    """Processes that a process has started."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry))
    return found


def rank_of(pid):
    with open(f"/proc/{pid}/environ") as file:
        variables = dict(entry.partition("=")[::2] for entry in file.read().split("\0"))
    return int(variables["LOCAL_RANK"])


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 2])
def test_the_others_end_with_the_reason(tmp_path, lost):
    process = start_command(tmp_path, "trainer.max_epochs=50", f"trainer.devices={RANKS}", "trainer.accelerator=cpu")
    try:
        wait_for(lambda: rows_logged(tmp_path) > 6, process)
        pids = {0: process.pid} | {rank_of(pid): pid for pid in children(process.pid)}
        assert sorted(pids) == list(range(RANKS))
        os.kill(pids[lost], signal.SIGKILL)
        killed = time.monotonic()
        assert finished(process, tmp_path, SECONDS) != 0
        while any(map(alive, pids.values())):
            assert time.monotonic() - killed < SECONDS
            time.sleep(0.05)
        took = time.monotonic() - killed
    finally:
        for pid in children(process.pid):
            os.kill(pid, signal.SIGKILL)
    log = (tmp_path / "log.txt").read_text()
    print(f"rank {lost} killed: the others ended after {took:.1f} s")
    assert f"Error: Process {lost} of {RANKS}: it ended without a message; it was killed, possibly out of" in log
    assert "Traceback" not in log
    if lost != 0:
        (result,) = (read_result(path.parent) for path in tmp_path.glob("outputs/*/result.json"))
        assert result.status == "failed"

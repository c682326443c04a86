"""Signals that a batch system sends to every process of a job do not end the loading processes."""

import multiprocessing
import signal
import subprocess
import sys
import time

import pytest
import torch

from gat_lightning.data import Digits

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells who sent a signal")


@pytest.fixture
def at_work():
    """Batches that two loading processes give, of which each has given one, and the processes."""
    data = Digits(workers=2, batch_size=32)
    data.setup()
    before = multiprocessing.active_children()
    batches = iter(data.test_dataloader())
    first = [next(batches) for _ in range(2)]
    workers = [worker for worker in multiprocessing.active_children() if worker not in before]
    assert len(workers) == 2
    yield first, batches, workers
    for worker in workers:
        worker.kill()
        worker.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2], ids=lambda each: each.name)
def test_batches_come_in_spite_of_signals_from_outside(at_work, number):
    first, batches, workers = at_work
    subprocess.run(["kill", f"-{int(number)}", *(str(worker.pid) for worker in workers)], check=True)
    time.sleep(0.2)
    index = torch.cat([batch.index for batch in (*first, *batches)])
    assert index.tolist() == list(range(360))


def test_the_parent_ends_its_loading_processes(at_work):
    workers = at_work[2]
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(10)
    assert [worker.exitcode for worker in workers] == [0, 0]

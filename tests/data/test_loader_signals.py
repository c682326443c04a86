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
def loader():
    data = Digits(workers=2, batch_size=32)
    data.setup()
    return data.test_dataloader()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2], ids=lambda each: each.name)
def test_batches_come_in_spite_of_signals_from_outside(loader, number):
    batches = iter(loader)
    images = [next(batches).images]
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    subprocess.run(["kill", f"-{int(number)}", *(str(worker.pid) for worker in workers)], check=True)
    time.sleep(0.2)
    images += [batch.images for batch in batches]
    assert all(worker.is_alive() for worker in workers)
    assert torch.equal(torch.cat(images), loader.dataset.__getitems__(list(range(360))).images)


def test_the_parent_ends_its_loading_processes(loader):
    next(iter(loader))
    workers = multiprocessing.active_children()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(10)
    assert [worker.exitcode for worker in workers] == [0, 0]

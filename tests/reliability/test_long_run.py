"""Twenty thousand steps: a run needs no more memory and no more time per step at its end than at its beginning."""

import statistics
import time
from typing import ClassVar

import pytest
import pytorch_lightning as pl

from gat_lightning.commands.train import run as train
from support.training_runs import tiny

STEPS, WARM_UP, EVERY = 20_000, 2_000, 500
SETTINGS = [
    "method=adversarial", "task=none", "curvature.mode=off", "weighting=equal", "schedule=constant", "attack.steps=1",
    "data.batch_size=16", "data.fraction=0.5", "validation.every=20", f"+trainer.max_steps={STEPS}",
    "trainer.max_epochs=10000", "trainer.log_every_n_steps=10", "validation.images=64",
]  # fmt: skip


def resident():
    """Bytes that this process holds now."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS:"))


class Probe(pl.Callback):
    """Memory, and this thread's time for a step, every few hundred steps."""

    memory: ClassVar[list[int]] = []
    seconds: ClassVar[list[float]] = []

    def on_train_start(self, trainer, module):
        self._clock = time.thread_time()

    def on_train_batch_end(self, trainer, module, *_):
        if trainer.global_step % EVERY == 0:
            self.memory.append(resident())
            now = time.thread_time()
            self.seconds.append((now - self._clock) / EVERY)
            self._clock = now


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_memory_and_time_of_a_step_stay_as_they_are(tmp_path):
    result = train.run(tiny(tmp_path, *SETTINGS, "+callbacks.probe={_target_: test_long_run.Probe}"))
    assert result.status == "finished"
    assert len(Probe.memory) == STEPS // EVERY
    warm = WARM_UP // EVERY
    growth = max(Probe.memory[warm:]) / Probe.memory[warm - 1] - 1
    quarter = (len(Probe.seconds) - warm) // 4
    first, last = (statistics.median(part) for part in (Probe.seconds[warm : warm + quarter], Probe.seconds[-quarter:]))
    print(
        f"{STEPS} steps: memory grew by {growth:.2%} after {WARM_UP} of them, a step took {1000 * first:.2f} ms of"
        f" processor time in the first quarter and {1000 * last:.2f} ms in the last"
    )
    assert growth < 0.02
    assert last < 1.3 * first

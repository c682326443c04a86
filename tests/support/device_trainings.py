"""Trainings on the stand-in device."""

import warnings
from typing import Any
from unittest.mock import patch

import pytorch_lightning as pl
from pytorch_lightning.accelerators import CPUAccelerator

from gat_lightning.commands.train.assembly import assemble
from gat_lightning.config.command_line import quiet_lightning
from support.configurations import composed
from support.stand_in_device import DEVICE, StandInDevice

SHORT = (
    "trainer.accelerator=cpu", "trainer.max_epochs=1", "+trainer.limit_train_batches=2",
    "+trainer.limit_val_batches=0", "trainer.log_every_n_steps=1", "data.batch_size=8", "encoder.width=1",
    "~callbacks.best", "~callbacks.last", "~callbacks.pictures", "~callbacks.progress", "~callbacks.curves",
)  # fmt: skip


class Steps(pl.Callback):
    """Counts from one update of the weights to the next: what is logged, loaded, augmented, attacked and weighed.

    What precedes the first update is left out, since tables and weights are moved to the device in it.

    Attributes:
        found: the synchronisations of each step.
    """

    def __init__(self, device: StandInDevice) -> None:
        self.device = device
        self.found: list[list[str]] = []
        self._begun = False

    def on_before_optimizer_step(self, *_: Any) -> None:
        if self._begun:
            self.found.append(self.device.synchronisations)
        self._begun = True
        self.device.begin_step()

    def on_train_epoch_end(self, *_: Any) -> None:
        self.device.end_step()

    def on_exception(self, *_: Any) -> None:
        self.device.end_step()


def synchronisations(directory: Any, *words: str, memory: int = 1 << 33) -> list[list[str]]:
    """Those of each step of a training of two batches but the first; there is at least one step.

    Args:
        directory: of the run.
        words: after the command.
        memory: free on the device, which takes the data if they fit.
    """
    config = composed("train", *words, *SHORT, f"paths.run={directory}")
    device = StandInDevice(memory=memory)
    with warnings.catch_warnings(), device, patch.object(CPUAccelerator, "setup_device"):
        quiet_lightning()
        warnings.filterwarnings("ignore", "'pin_memory' argument is set as true but no accelerator is found")
        assembly = assemble(config, None)
        steps = Steps(device)
        assembly.trainer.callbacks.append(steps)
        assembly.trainer.strategy._root_device = DEVICE
        assembly.trainer.fit(assembly.module, datamodule=assembly.data)
    assert steps.found
    return steps.found

"""DataLoader of whole batches, which resumes an interrupted training epoch."""

import os
import signal
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from threading import Thread
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from gat_lightning.batch import Batch
from gat_lightning.data.dataset import SplitDataset
from gat_lightning.data.sampler import EvaluationBatchSampler, JointBatchSampler, Request
from gat_lightning.data.stored import StoredBatch
from gat_lightning.errors import UserError


def _leave_signals_to_parent(worker: int) -> None:
    """Ignore signals to stop, which batch systems send to every process of a job, unless the parent sends them."""
    for name in ("SIGINT", "SIGUSR2"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        Thread(target=_end_when_told_by, args=(os.getppid(),), daemon=True).start()


def _end_when_told_by(parent: int) -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        pass
    os._exit(0)


def _as_is(batch: Any) -> Any:
    return batch


class _Stored(Dataset[StoredBatch]):
    """What loading processes send of a split: grey levels as they are stored, and the labels of these names."""

    def __init__(self, split: SplitDataset, names: Collection[str] | None) -> None:
        self.split, self.names = split, names

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, request: Request) -> StoredBatch:
        return self.split.stored(request, self.names)


class BatchLoader(DataLoader[StoredBatch]):
    """DataLoader of the batches of the sampler. They do not depend on the number of workers.

    Images are sent as uint8, to a GPU through pinned memory, and become float32 on the device. Those of the first batch
    of a pass are not marked as in range, so that attacks look at what augmentation and tasks made of them.

    Args:
        dataset: the split. One with a ``__getitems__`` of its own sends the batches that it makes.
        batch_sampler: sampler of whole batches.
        workers: number of loading processes, kept alive between epochs; 0 loads in the main process.
        device: of the batches; that of the split's labels if None.
        labels: names of the labels in a batch; all if None.
    """

    def __init__(
        self,
        dataset: SplitDataset,
        batch_sampler: JointBatchSampler | EvaluationBatchSampler,
        workers: int = 0,
        device: torch.device | None = None,
        labels: Collection[str] | None = None,
    ) -> None:
        as_stored = isinstance(dataset, SplitDataset) and type(dataset).__getitems__ is SplitDataset.__getitems__
        super().__init__(
            _Stored(dataset, labels) if as_stored else dataset,  # type: ignore[arg-type]
            batch_sampler=batch_sampler,  # type: ignore[arg-type]  # torch wants lists, but takes what __getitems__ takes
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=_as_is,
            worker_init_fn=_leave_signals_to_parent,
            pin_memory=device is not None and device.type == "cuda",
        )
        self._device = device

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Iterate over the batches. A user error in a worker is raised without the worker's traceback."""
        try:
            for number, loaded in enumerate(super().__iter__()):
                stored = isinstance(loaded, StoredBatch)
                yield replace(loaded.batch(self._device), in_range=number > 0) if stored else loaded
        except UserError as error:
            raise UserError(str(error).rpartition(f"{UserError.__name__}: ")[2].strip()) from None


class TrainingLoader(BatchLoader):
    """DataLoader that Lightning can resume in the middle of an epoch.

    A pass skips the joined batches that are already done. Their number is the trainer's progress, which checkpoints
    contain and which is 0 in an uninterrupted epoch. A pass starts at its first batch, not at ``iter``: Lightning calls
    ``iter`` before it sets the sampler's epoch or restores the progress.

    Args:
        dataset: the split.
        batch_sampler: sampler of the training batches.
        workers: as for :class:`BatchLoader`.
        batches_done: returns the number of finished batches of the current epoch; called at the first batch of a pass.
        device: as for :class:`BatchLoader`.
        labels: as for :class:`BatchLoader`.
    """

    def __init__(
        self,
        dataset: SplitDataset,
        batch_sampler: JointBatchSampler,
        workers: int,
        batches_done: Callable[[], int],
        device: torch.device | None = None,
        labels: Collection[str] | None = None,
    ) -> None:
        super().__init__(dataset, batch_sampler, workers, device, labels)
        self._order = batch_sampler
        self._batches_done = batches_done

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the trainer keeps the position. That the method exists tells Lightning that we can resume."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing, see :meth:`state_dict`."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self._order.start_batch = self._batches_done()
        yield from super().__iter__()

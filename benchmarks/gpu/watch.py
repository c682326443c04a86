"""CUDA's own list of synchronisations and of non-deterministic operations in a training step."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

WATCHED_STEP = 2
SYNCHRONISATION = "synchronizing"
NON_DETERMINISTIC = "deterministic"
"""Words of torch's warnings."""


class Watch(pl.Callback):
    """Counts torch's warnings in one training step.

    Args:
        path: of the counts, as JSON.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._watching: Any = None
        self._seen: list[warnings.WarningMessage] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Begin with the step."""
        if batch_idx == WATCHED_STEP:
            self._watching = _recorded(trainer.strategy.root_device)
            self._seen = self._watching.__enter__()

    def on_train_batch_end(self, *_: Any) -> None:
        """Write what the step has warned of."""
        if self._watching is None:
            return
        self._watching.__exit__(None, None, None)
        self._watching = None
        self._path.write_text(json.dumps(described(self._seen)))


def described(seen: list[warnings.WarningMessage]) -> dict[str, Any]:
    """How many synchronisations and non-deterministic operations, and the lines of code they come from."""
    found: dict[str, Any] = {}
    for name, word in (("synchronisations", SYNCHRONISATION), ("non-deterministic operations", NON_DETERMINISTIC)):
        kept = [warning for warning in seen if word in str(warning.message)]
        found[name] = len(kept)
        lines = Counter(f"{Path(each.filename).name}:{each.lineno} {str(each.message)[:90]}" for each in kept)
        found[f"{name}, where"] = dict(lines)
    return found


@contextmanager
def _recorded(device: torch.device) -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield seen
        finally:
            if device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")

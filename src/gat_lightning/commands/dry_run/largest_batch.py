"""The largest batch whose training step fits into a device's memory."""

import gc
from collections.abc import Callable

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gat_lightning.commands.train.faults import is_out_of_memory
from gat_lightning.config.build import build_data, build_module
from gat_lightning.training.callbacks.numerics import Numerics

SMALLEST = 2
"""Images in the smallest batch: BatchNorm needs two."""


def largest_batch(fits: Callable[[int], bool], configured: int, most: int) -> int | None:
    """The largest batch that fits, found to within an eighth of it by doubling and bisection.

    Args:
        fits: whether a batch of this many images fits; whatever is smaller than one that does fits too.
        configured: the size to begin with.
        most: the largest size of interest, :data:`SMALLEST` or more.

    Returns:
        At most ``most``; None if not even the smallest batch fits.
    """
    low, high = 0, most + 1  # the largest that fits so far, and the smallest that does not
    size = min(max(configured, SMALLEST), most)
    while high > SMALLEST and high - low > max(low // 8, 1):
        if fits(size):
            low, larger = size, min(2 * size, most)
            size = larger if high > most else (low + high) // 2
        else:
            high, smaller = size, max(size // 2, SMALLEST)
            size = (low + high) // 2 if low else smaller
    return low or None


def step_fits(config: DictConfig, size: int) -> bool:
    """Whether training steps on batches of this size, in one pass, fit into memory."""
    tried = config.copy()
    OmegaConf.update(tried, "data.batch_size", size)
    OmegaConf.update(tried, "engine.micro_batch", None)
    OmegaConf.update(tried, "engine.compile", False)  # which takes minutes for each size
    try:
        _train_briefly(tried)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        fitted = False
    else:
        fitted = True
    gc.collect()
    torch.cuda.empty_cache()
    return fitted


def _train_briefly(config: DictConfig) -> None:
    """Two steps: the optimiser has its state from the first one on."""
    data = build_data(config)
    module = build_module(config, data.info, None)
    trainer: pl.Trainer = instantiate(
        config.trainer,
        precision=module.origin["engine"]["precision"],
        **dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False),
        callbacks=[Numerics(config.engine.tf32)],
        max_epochs=1,
        limit_train_batches=2,
        limit_val_batches=0,
    )
    trainer.fit(module, datamodule=data)

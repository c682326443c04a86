"""Length of a training in batches, from its configuration."""

import math
from typing import TYPE_CHECKING

from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig

if TYPE_CHECKING:  # imports Lightning, which the check of a setting does not need
    from gat_lightning.data import ImageDataModule


def counted_batches(config: DictConfig, data: "ImageDataModule") -> int | None:
    """Number of batches in an epoch; None where nobody needs it, since data are read for it."""
    if config.engine.compile != "auto":
        return None
    return batches_of_epoch(data)


def batches_of_epoch(data: "ImageDataModule") -> int:
    """Number of batches in an epoch. The data are read, with the unlabelled images.

    Raises:
        UserError: they cannot be, or do not fit together.
    """
    rank_zero_only(data.prepare_data)()
    data.setup()
    return len(data.training_sampler())


def count_steps(config: DictConfig, batches: int, replays: int) -> int:
    """Batches of the whole training, with ``batches`` in an epoch before any limit and ``replays`` steps on each."""
    kept = limited(batches, config.trainer.get("limit_train_batches"))
    epochs, most = config.trainer.max_epochs, config.trainer.get("max_steps", -1)
    bounds = [epochs * kept] if epochs is not None and epochs > 0 else []
    return min([*bounds, *([math.ceil(most / replays)] if most > 0 else [])])


def limited(batches: int, limit: int | float | None) -> int:
    """Number of batches that Lightning takes of ``batches`` under a limit, a number or a share of them."""
    if limit is None:
        return batches
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)

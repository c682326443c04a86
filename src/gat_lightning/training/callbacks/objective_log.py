"""Log of the objectives of every step."""

import logging
import time
from typing import Any

import pytorch_lightning as pl
import torch

from gat_lightning.batch import Batch
from gat_lightning.gradients.objectives import GradientStep
from gat_lightning.runs.metric_names import TARGET_SHARE, objective_column
from gat_lightning.training.module import GATModule
from gat_lightning.weighting import adversarial_share, imbalance

log = logging.getLogger(__name__)


class ObjectiveLog(pl.Callback):
    """Logs, every few steps, what the last steps computed.

    Columns: ``objective/NAME``, ``weight/NAME``, ``norm/NAME``, ``cosine/A|B``, ``stationarity``, ``penalty``,
    ``coefficient/NAME`` of an objective that is added with the weights of others, ``empty_objectives``, ``lr``,
    ``images_per_second``, and ``skipped_batches`` where batches may be left out. Each figure is that of the last step
    that had it: with ``engine.solve_every`` above 1, norms, cosines and stationarity are those of the last solve since
    the row before, and empty if there was none; with ``curvature.every`` above 1, the same holds for all columns of the
    curvature terms. A weighting without a Gramian leaves these three empty. After each epoch:
    ``weight/target_adversarial``, the share of the epoch's weight that the target's adversarial objectives had, and one
    warning about unbalanced weights.

    Args:
        every_n_steps: how many steps lie between two rows, or as many more as it takes to finish a batch.
    """

    def __init__(self, every_n_steps: int = 10) -> None:
        self._every = every_n_steps
        self._rows = 0
        self._started = 0.0
        self._images = 0
        self._empty = 0
        self._warned = False
        self._weights: dict[str, float] = {}
        self._figures: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        """What the current epoch has added up so far, and what the next row has."""
        return {"empty": self._empty, "warned": self._warned, "weights": self._weights, "figures": self._figures}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on adding up."""
        self._empty, self._warned = state_dict["empty"], state_dict["warned"]
        self._weights, self._figures = dict(state_dict["weights"]), dict(state_dict.get("figures", {}))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._rows = trainer.global_step // self._every
        self._restart_clock()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the epoch's sums."""
        self._restart_clock()
        self._weights = {}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Take down the step, and log where it is its turn."""
        assert isinstance(pl_module, GATModule)
        step = pl_module.last_step
        self._images += batch.shard.total
        if step is None:  # the batch was left out
            return
        self._empty += len(step.empty)
        for name, weight in zip(step.names, step.weights.tolist(), strict=True):
            self._weights[name] = self._weights.get(name, 0.0) + weight
        self._figures |= describe(step)
        if trainer.global_step // self._every == self._rows:
            return
        self._rows = trainer.global_step // self._every
        elapsed = time.perf_counter() - self._started
        values = {"penalty": 0.0} | self._figures
        values |= {
            "empty_objectives": float(self._empty),
            "lr": pl_module.learning_rate,
            "images_per_second": self._images / elapsed,
            "epoch": float(trainer.current_epoch),
        }
        if pl_module.skip_non_finite:
            values["skipped_batches"] = float(pl_module.skipped)
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.global_step)
        self._figures = {}
        self._restart_clock()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the target's adversarial share of the epoch's weight, and warn once about unbalanced weights."""
        assert isinstance(pl_module, GATModule)
        names, target = list(self._weights), pl_module.task_names[0]
        weights = torch.tensor(list(self._weights.values()))
        share = adversarial_share(names, weights, target)
        if share is not None:
            for logger in trainer.loggers:
                logger.log_metrics(
                    {TARGET_SHARE: share, "epoch": float(trainer.current_epoch)}, step=trainer.global_step
                )
        weighting = pl_module.engine.weighting
        message = imbalance(names, weights, target, weighting.remedies(), weighting.needs_pairs)
        if message and not self._warned and trainer.is_global_zero:
            log.warning("Epoch %d: %s", trainer.current_epoch + 1, message)
            self._warned = True

    def _restart_clock(self) -> None:
        self._started, self._images = time.perf_counter(), 0


def describe(step: GradientStep) -> dict[str, float]:
    """Flat, named figures of one step: those that it has."""
    values: dict[str, float] = {}
    for name, loss, weight in zip(step.names, step.losses.tolist(), step.weights.tolist(), strict=True):
        values |= {objective_column("objective", name): loss, objective_column("weight", name): weight}
    for name, (loss, coefficient) in step.followers.items():
        values |= {objective_column("objective", name): loss, objective_column("coefficient", name): coefficient}
    if step.penalty:
        values["penalty"] = step.penalty
    if step.gramian is not None:
        values["stationarity"] = step.stationarity
        for name, norm in zip(step.names, step.norms().tolist(), strict=True):
            values[objective_column("norm", name)] = norm
        for k, cosines in enumerate(step.cosines().tolist()):
            for m in range(k):
                values[objective_column("cosine", step.names[k], step.names[m])] = cosines[m]
    return values

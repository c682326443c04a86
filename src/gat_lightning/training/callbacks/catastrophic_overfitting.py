"""Guard against catastrophic overfitting in single-step adversarial training."""

import logging
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from torch import Tensor

from gat_lightning.runs.metric_names import MetricName

if TYPE_CHECKING:
    from gat_lightning.training.module import GATModule

log = logging.getLogger(__name__)


class CatastrophicOverfittingGuard(pl.Callback):
    """Stops the training where the accuracy under the validation attack breaks down from one validation to the next.

    The weights of the validation before come back, so that the last checkpoint has them. Wong et al. (ICLR 2020,
    section 5.4) watch PGD on a batch of training images; the validation attacks held-out ones in any case. Targets
    without classes have no accuracy, and nothing is guarded.

    Args:
        threshold: largest fall of the robust accuracy, in (0, 1).
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._before: float | None = None
        self._weights: dict[str, Tensor] = {}
        self._stopped = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make no further step where a checkpoint of a stopped training is resumed."""
        if self._stopped:
            trainer.should_stop = True
            log.warning("Catastrophic overfitting has stopped this training before; method.guard=false goes on.")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare with the validation before."""
        module: GATModule = pl_module  # type: ignore[assignment]
        view = next(iter(module.attacks["val"]))
        accuracy = trainer.callback_metrics.get(str(MetricName("val", view, "accuracy")))
        if accuracy is None or accuracy.isnan() or trainer.sanity_checking:
            return
        if self._before is not None and float(accuracy) < self._before - self._threshold:
            module.model.load_state_dict(self._weights)
            self._stopped = trainer.should_stop = True
            log.warning(
                "Catastrophic overfitting in epoch %d: validation accuracy under %s fell from %.1f %% to %.1f %%."
                " Training stops here, with the weights of the validation before.",
                trainer.current_epoch + 1,
                view,
                100 * self._before,
                100 * float(accuracy),
            )
            return
        self._before = float(accuracy)
        self._weights = {name: value.detach().clone() for name, value in module.model.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """The last accuracy, the weights that had it, and whether training was stopped."""
        return {"before": self._before, "weights": self._weights, "stopped": self._stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what :meth:`state_dict` gave."""
        self._before, self._weights = state_dict["before"], state_dict["weights"]
        self._stopped = state_dict.get("stopped", False)

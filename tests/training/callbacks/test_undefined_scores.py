"""An undefined score (NaN) never chooses a checkpoint and never stops a training."""

import math

import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from torch import nn
from torch.utils.data import DataLoader

from gat_lightning.training.callbacks.catastrophic_overfitting import CatastrophicOverfittingGuard
from support.configurations import composed

NAN = math.nan


class Planted(pl.LightningModule):
    """Logs given scores, one in each validation."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores
        self.model = nn.Linear(1, 1)
        self.attacks = {"val": {"pgd": None}}

    def training_step(self, batch, batch_idx):
        return self.model(batch).sum()

    def validation_step(self, batch, batch_idx):
        score = torch.tensor(self.scores[self.current_epoch])
        self.log_dict({"val/selection": score, "val/pgd/accuracy": score})

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trained(scores, callbacks):
    """The number of epochs until the end or the stop."""
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=len(scores), logger=False, callbacks=callbacks, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, enable_checkpointing=any(map(is_keeper, callbacks)),
    )  # fmt: skip
    loader = DataLoader(torch.ones(1, 1))
    trainer.fit(Planted(scores), loader, loader)
    return trainer.current_epoch


def is_keeper(callback):
    return isinstance(callback, pl.callbacks.Checkpoint)


def configured(directory, name, **changes):
    config = composed("train", "callbacks=default+early_stopping", f"paths.run={directory}")
    return instantiate(config.callbacks[name], **changes)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize(
    ("scores", "best"),
    [([NAN, NAN], None), ([NAN, 0.2, NAN], 1), ([0.3, NAN, 0.2], 0), ([NAN, 0.1, NAN, 0.4, 0.3], 3)],
)
def test_the_best_checkpoint_has_the_best_defined_score(tmp_path, scores, best):
    trained(scores, [configured(tmp_path, "best")])
    path = tmp_path / "checkpoints" / "best.ckpt"
    assert path.is_file() == (best is not None)
    if best is not None:
        assert torch.load(path, weights_only=True)["epoch"] == best


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize(
    ("scores", "epochs"),
    [
        ([NAN] * 6, 6),
        ([0.5, NAN, NAN, NAN, 0.6, 0.7], 6),
        ([0.5, NAN, 0.4, NAN, 0.4, 0.7], 5),
        ([0.5, 0.4, 0.4, 0.7], 3),
    ],
)
def test_early_stopping_counts_defined_scores_alone(tmp_path, scores, epochs):
    assert trained(scores, [configured(tmp_path, "early_stopping", patience=2)]) == epochs


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_the_guard_compares_with_the_last_defined_score():
    """An undefined accuracy between 0.6 and 0.1 does not hide the fall."""
    guard = CatastrophicOverfittingGuard(0.2)
    assert trained([0.6, NAN, 0.1, 0.1], [guard]) == 3
    assert trained([0.6, NAN, 0.55, NAN], [CatastrophicOverfittingGuard(0.2)]) == 4

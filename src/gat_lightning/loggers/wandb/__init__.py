"""Weights & Biases: one W&B run for each run directory."""

import importlib.util

from gat_lightning.errors import UserError

if importlib.util.find_spec("wandb") is None:
    raise UserError("logger=wandb needs the package wandb: pip install wandb")

from gat_lightning.loggers.wandb.logger import WandbLogger

__all__ = ["WandbLogger"]

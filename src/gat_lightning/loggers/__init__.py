"""Loggers: ``metrics.csv`` always, Weights & Biases and TensorBoard on request.

Import the last two from their own modules: both are slow to import, and one is an extra.
"""

from gat_lightning.loggers.base import RunLogger, close, start
from gat_lightning.loggers.csv import CSVLogger
from gat_lightning.loggers.privacy import public_config

__all__ = ["CSVLogger", "RunLogger", "close", "public_config", "start"]

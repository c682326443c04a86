"""Checks of the configuration before any work starts, and messages that say what would be right."""

from gat_lightning.configuration.check import check
from gat_lightning.configuration.messages import explain, is_for_user

__all__ = ["check", "explain", "is_for_user"]

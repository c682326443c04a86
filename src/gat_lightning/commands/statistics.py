"""Statistics of a data set: ``python -m gat_lightning.data statistics data=NAME [data.KEY=VALUE ...]``."""

from __future__ import annotations

import sys

from omegaconf import DictConfig
from rich.console import Console

from gat_lightning.commands.data_summary import summarise
from gat_lightning.config.build import build_data
from gat_lightning.config.command_line import command


def run(config: DictConfig) -> None:
    """Print the paper's Tables 6 and 7 for the configured data set."""
    console = Console()
    for table in summarise(build_data(config)):
        console.print(table)


def main() -> None:
    """Run the command that the first argument names; ``statistics`` is the only one."""
    if sys.argv[1:2] != ["statistics"]:
        raise SystemExit("Usage: python -m gat_lightning.data statistics data=NAME [data.KEY=VALUE ...]")
    del sys.argv[1]
    command("statistics", run)()

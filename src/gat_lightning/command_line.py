"""What all commands share: Hydra's entry, and one clear message instead of a traceback."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import hydra
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gat_lightning.assembly import find_conf
from gat_lightning.errors import NonFiniteError, UserError
from gat_lightning.run_directory import register_resolvers

_SHOWN = (UserError, NonFiniteError, OmegaConfBaseException)
_QUIET = (
    ".*does not have many workers.*",
    ".*number of training batches.*is smaller than the logging interval.*",
    ".*exists and is not empty.*",
    ".*isinstance.treespec, LeafSpec.* is deprecated.*",
)


def command(name: str, run: Callable[[DictConfig], Any]) -> Callable[[], None]:
    """A command that composes ``conf/<name>.yaml`` with the command line's overrides and runs it.

    An error meant for the user is printed alone and the exit status is 1; ``debug=true`` shows the traceback.
    """
    register_resolvers()

    @hydra.main(version_base="1.3", config_path=str(find_conf()), config_name=name)
    def main(config: DictConfig) -> None:
        quiet_lightning()
        try:
            run(config)
        except Exception as error:
            message = next((cause for cause in _causes(error) if isinstance(cause, _SHOWN)), None)
            if message is None or config.debug:
                raise
            print(f"Error: {str(message).splitlines()[0]}", file=sys.stderr)
            raise SystemExit(1) from None

    return main


def quiet_lightning() -> None:
    """Silence advice of Lightning's that does not apply: data sets in memory need no workers, short epochs are fine."""
    for package in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(package).setLevel(logging.WARNING)
    for message in _QUIET:
        warnings.filterwarnings("ignore", message)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

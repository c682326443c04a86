"""Command lines: Hydra's entry point, and one clear message instead of a traceback."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from gat_lightning.config.files import find_conf
from gat_lightning.config.label_tasks import check_label_tasks
from gat_lightning.config.messages import explain, is_for_user
from gat_lightning.config.output import ending_with_its_reader, lines_named
from gat_lightning.config.resolvers import register_resolvers
from gat_lightning.config.typed_words import readable, with_output
from gat_lightning.errors import UserError
from gat_lightning.runs.directory import discard_unused

log = logging.getLogger(__name__)

_FULL_ERROR = "HYDRA_FULL_ERROR"
_QUIET = (
    ".*does not have many workers.*",
    ".*number of training batches.*is smaller than the logging interval.*",
    ".*exists and is not empty.*",
    ".*isinstance.treespec, LeafSpec.* is deprecated.*",
    ".*new API settings to control TF32.*",
    ".*`srun` command is available on your system but is not used.*",
)


def command(
    name: str,
    run: Callable[[DictConfig], Any],
    words: Callable[[Sequence[str]], list[str]] = readable,
    output: str = "paths.output",
) -> Callable[[], None]:
    """A command that composes ``conf/<name>.yaml`` with the command line's overrides, checks it and runs it.

    An error meant for the user, be it Hydra's or ours, is printed alone and the exit status is 1; ``debug=true`` or
    ``HYDRA_FULL_ERROR=1`` shows the traceback. In a sweep the other runs go on, and the errors are listed at its end.
    Options of Hydra's may stand anywhere among the overrides.

    Args:
        name: of the file.
        run: what is run with the configuration.
        words: makes what is typed into what Hydra reads.
        output: the setting that names what the command writes; ``output=`` and ``paths.output=`` both set it.
    """
    register_resolvers()
    traceback = started = False

    @hydra.main(version_base="1.3", config_path=str(find_conf()), config_name=name)
    @_told_from_others
    def job(config: DictConfig) -> Any:
        nonlocal traceback, started
        traceback, started = traceback or bool(config.get("debug")), True
        try:
            with _full_errors(traceback):
                _check_launcher()
                check_label_tasks(config)
                from gat_lightning.config.check import check  # imports Lightning, which errors of composition need not

                check(config)
                quiet_lightning()  # now that it is imported, which sets its loggers' levels
                return run(config)
        except Exception as error:
            shown = traceback or not is_for_user(error)
            if not shown:
                discard_unused(Path(HydraConfig.get().runtime.output_dir))
            if HydraConfig.get().mode is RunMode.MULTIRUN:
                log.error(explain(error), exc_info=shown)
                raise UserError(explain(error)) from None  # any process can send it on
            if shown:
                raise
            _stop(error)

    def main() -> None:
        nonlocal traceback, started
        traceback, started = _traceback_wanted(sys.argv[1:]), False
        try:
            with ending_with_its_reader(), _full_errors(True):
                sys.argv[1:] = with_output(words(sys.argv[1:]), output)
                job()
        except Exception as error:
            if traceback or (started and not is_for_user(error)):
                raise
            _stop(error)

    return main


@contextmanager
def message_alone() -> Iterator[None]:
    """Let an error that is meant for the user end the program with its message alone, and with status 1."""
    try:
        yield
    except Exception as error:
        if _traceback_wanted(sys.argv[1:]) or not is_for_user(error):
            raise
        _stop(error)


def quiet_lightning() -> None:
    """Silence advice of Lightning's that does not apply: data sets in memory need no workers, short epochs are fine."""
    for package in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(package).setLevel(logging.WARNING)
    for message in _QUIET:
        warnings.filterwarnings("ignore", message)


def _told_from_others(job: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """Lets the lines of a job begin with the run's name where joblib runs several at the same time."""

    @wraps(job)
    def told(config: DictConfig) -> Any:
        hydra_config = HydraConfig.get()
        shared = hydra_config.mode is RunMode.MULTIRUN and hydra_config.runtime.choices["hydra/launcher"] == "joblib"
        directory = os.path.relpath(hydra_config.runtime.output_dir, hydra_config.sweep.dir)
        with lines_named(directory) if shared else nullcontext():
            return job(config)

    return told


def _check_launcher() -> None:
    hydra_config = HydraConfig.get()
    launcher = hydra_config.runtime.choices["hydra/launcher"]
    if hydra_config.mode is RunMode.RUN and launcher != "basic":
        raise UserError(f"hydra/launcher={launcher} launches sweeps: add -m, also for a sweep of one run.")
    if hydra_config.mode is RunMode.RUN and hydra_config.runtime.choices["hydra/sweeper"] == "optuna":
        raise UserError("hydra/sweeper=optuna makes sweeps: add -m.")


def _stop(error: Exception) -> None:
    print(f"Error: {explain(error)}", file=sys.stderr)
    raise SystemExit(1) from None


def _traceback_wanted(arguments: list[str]) -> bool:
    debug = [argument.partition("=")[2] for argument in arguments if argument.lstrip("+").startswith("debug=")]
    return os.environ.get(_FULL_ERROR) == "1" or any(value.strip("'\"").lower() != "false" for value in debug)


@contextmanager
def _full_errors(wanted: bool) -> Iterator[None]:
    """Lets Hydra raise its errors, which it would print in its own way and exit, or not."""
    before = os.environ.pop(_FULL_ERROR, None)
    if wanted:
        os.environ[_FULL_ERROR] = "1"
    try:
        yield
    finally:
        os.environ.pop(_FULL_ERROR, None)
        if before is not None:
            os.environ[_FULL_ERROR] = before

"""How a W&B run is opened: online with a key, otherwise offline in the run directory for a later ``wandb sync``."""

import logging
import netrc
import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import wandb
from wandb.errors import AuthenticationError, CommError

from gat_lightning.errors import UserError
from gat_lightning.loggers.wandb.summary import STEP

log = logging.getLogger(__name__)

EXIT_CODES = {"finished": 0, "failed": 1, "interrupted": 255}
"""Of a W&B run, by the status of ours."""

_SECONDS_TO_CONNECT = 30.0
_OF_THE_AGENT = ("project", "entity", "id")
_REFUSED = re.compile(r"error 4(0[013]|22)")  # the server answered, so that trying later would not help


def open_run(
    directory: Path, system_metrics: bool = False, offline_if_refused: bool = False, **arguments: Any
) -> wandb.Run:
    """Start a W&B run, or continue the one whose ``id`` is given; offline where the server cannot be reached.

    Args:
        directory: the run directory, which keeps the files of W&B.
        system_metrics: whether W&B samples the load of processor, memory and GPU.
        offline_if_refused: whether a run that W&B refuses, for instance because of its key, is offline; else an error.
        **arguments: of :func:`wandb.init`.

    Raises:
        UserError: W&B refuses the run, or cannot start.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if is_of_a_sweep():
        arguments = {name: value for name, value in arguments.items() if name not in _OF_THE_AGENT}
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # W&B's telemetry about itself, which also logs its faults
    try:
        run = _init(directory, system_metrics, offline_if_refused, **arguments)
    except wandb.Error as error:
        raise UserError(
            f"W&B cannot start: {_first_line(error)} Set WANDB_MODE=offline to upload the run later, or leave out"
            " logger=wandb."
        ) from error
    run.define_metric(STEP, hidden=True)
    run.define_metric("*", step_metric=STEP)
    return run


def is_of_a_sweep() -> bool:
    """Whether a W&B agent started the process; W&B then takes project, entity and id of the agent."""
    return bool(os.environ.get("WANDB_SWEEP_ID"))


def announce_offline(run: wandb.Run, directory: Path) -> None:
    """Print how to upload the run, if it is offline."""
    if run.offline:
        print(f"W&B: offline. To upload this run: {upload_command(directory)}", flush=True)


def define_scores(run: wandb.Run, names: Iterable[str]) -> None:
    """Leave the summary of validation scores, which is their best value, to us."""
    for name in names:
        run.define_metric(name, step_metric=STEP, summary="none")


def _init(directory: Path, system_metrics: bool, offline_if_refused: bool, **arguments: Any) -> wandb.Run:
    chosen = mode()
    try:
        return wandb.init(settings=_settings(directory, chosen, system_metrics), **arguments)
    except CommError as error:
        refused = isinstance(error, AuthenticationError) or _REFUSED.search(str(error)) is not None
        if chosen != "online" or (refused and not offline_if_refused):
            raise
        log.warning("W&B %s (%s). This run stays offline; upload it later: %s",
                    "refuses the run" if refused else "cannot be reached", _first_line(error),
                    upload_command(directory))  # fmt: skip
        wandb.teardown()  # its process still tries to open the run online, and would not open it again
        return wandb.init(settings=_settings(directory, "offline", system_metrics), **arguments)


def upload_command(directory: Path) -> str:
    """What to type to upload the offline files of a run directory."""
    return f"wandb login; wandb sync {shlex.quote(str(directory / 'wandb'))}/offline-run-*"


def has_key() -> bool:
    """Whether W&B would find credentials: in the environment, in a ``.netrc``, or in its settings."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    settings = wandb.setup().settings
    return bool(settings.api_key) or _in_netrc(urlsplit(settings.base_url).netloc)


def mode() -> Literal["online", "offline", "disabled"]:
    """The mode set by ``WANDB_MODE`` or ``wandb offline``; otherwise online with a key, offline without one."""
    said = os.environ.get("WANDB_MODE") or wandb.setup().settings.mode
    if said == "disabled":
        return "disabled"
    if said in ("offline", "dryrun"):
        return "offline"
    return "online" if has_key() else "offline"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _in_netrc(host: str) -> bool:
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        return netrc.netrc(str(path)).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _settings(
    directory: Path, chosen: Literal["online", "offline", "disabled"], system_metrics: bool
) -> wandb.Settings:
    """Settings that disable all automatic collection by W&B, and all messages except upload errors."""
    return wandb.Settings(
        mode=chosen,
        silent=chosen != "online",
        init_timeout=_SECONDS_TO_CONNECT,
        root_dir=str(directory),
        resume="allow",
        reinit="create_new",
        console="off",
        quiet=True,
        show_info=False,
        symlink=False,
        host="",
        program="gat_lightning",
        save_code=False,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_disable_stats=not system_metrics,
        x_save_requirements=False,
    )

"""Weights & Biases: online with a key, otherwise offline in the run directory for a later ``wandb sync``."""

import base64
import hashlib
import io
import netrc
import os
import pickle
import secrets
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
import wandb
from hydra.core.hydra_config import HydraConfig
from lightning_fabric.loggers.logger import rank_zero_experiment
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only

from gat_lightning.errors import UserError
from gat_lightning.files import atomic_write
from gat_lightning.loggers.base import RunLogger
from gat_lightning.loggers.privacy import HIDDEN, public_override, write_shareable
from gat_lightning.runs.directory import setting_of
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import SELECTION, MetricName, scores_in

ID_FILE = "wandb_id.txt"
STEP = "trainer/global_step"
"""The x axis of every figure; the name that Lightning's own logger uses."""

CHECKPOINTS = ("none", "best", "all")
_EXIT_CODES = {"finished": 0, "failed": 1, "interrupted": 255}
_NO_TAG = ("callbacks", "debug", "hydra", "logger", "paths", "resume", "skip_finished", "trainer")
_LONGEST_TAG, _LONGEST_GROUP = 64, 128


class WandbLogger(RunLogger):
    """One W&B run for one run directory.

    The run has the directory's name and keeps its files there. Its id is drawn at the start and kept in
    ``wandb_id.txt``: a resumed run continues the same W&B run, and a new run never continues an older one with the same
    settings. The summary has the maximum of every ``val/`` metric and finally ``best/test/VIEW/METRIC`` and
    ``last/...``. No more is recorded than what is logged here: neither host name, user, command line, console, git
    state, code, installed packages nor system metrics.

    Args:
        directory: the run directory.
        project: name of the W&B project.
        checkpoints: checkpoints of a finished run to upload as artifacts: ``none``, ``best`` or ``all``. They suffice
            for evaluation and export; :mod:`~gat_lightning.loggers.privacy` removes private settings.
    """

    shows_pictures = True

    def __init__(self, directory: str | Path, project: str, checkpoints: str = "none") -> None:
        super().__init__(directory)
        if checkpoints not in CHECKPOINTS:
            raise UserError(
                f"logger.wandb.checkpoints is '{checkpoints}'; it must be one of: {', '.join(CHECKPOINTS)}."
            )
        self.project = project
        self.checkpoints = checkpoints
        self._config: dict[str, Any] = {}
        self._defined: set[MetricName] = set()
        self._run: wandb.Run | None = None
        self._process = 0
        self._handle = b""

    @property
    @rank_zero_experiment
    def experiment(self) -> wandb.Run:
        """The W&B run, started at first use. A forked or spawned process attaches to it.

        Raises:
            UserError: it cannot be started.
        """
        if self._run is None:
            self._run = self._open()
            self._handle, self._process = pickle.dumps(self._run), os.getpid()
        elif self._process != os.getpid():
            self._run, self._process = pickle.loads(self._handle), os.getpid()
        return self._run

    def begin(self, config: Mapping[str, Any], resumed_at: int | None) -> None:
        """Start the W&B run: a new one, unless the run is resumed."""
        self._config = dict(config)
        if resumed_at is None:
            (self.directory / ID_FILE).unlink(missing_ok=True)
        if self.experiment.offline:
            files = shlex.quote(str(self.directory / "wandb")) + "/offline-run-*"
            print(f"W&B: offline. To upload this run: wandb login; wandb sync {files}", flush=True)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add one row to the history."""
        for score in scores_in(metrics, "val"):
            if score not in self._defined:
                best = "min" if score.lower_is_better else "max"
                self.experiment.define_metric(str(score), step_metric=STEP, summary=best)
                self._defined.add(score)
        self.experiment.log({**metrics, STEP: step or 0})

    @rank_zero_only
    def log_picture(self, name: str, pixels: np.ndarray, step: int) -> None:
        """Add a picture to the history."""
        self.experiment.log({name: wandb.Image(pixels), STEP: step})

    @rank_zero_only
    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """Add a table to the history, as HTML: W&B's own tables would contain a local path."""
        self.experiment.log({name: wandb.Html(html_table(columns, rows)), STEP: step})

    @rank_zero_only
    def end(self, status: str, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """Write the summary and the artifacts, and finish the W&B run, if there is one."""
        if self._run is None:
            return
        figures = {f"{kind}/{name}": value for kind, scores in metrics.items() for name, value in scores.items()}
        try:
            self._run.summary.update({"status": status, **figures})
            self._log_artifacts(self._run, metrics)
        finally:
            self._run.finish(exit_code=_EXIT_CODES[status])
            self._run = None

    def _log_artifacts(self, run: wandb.Run, metrics: Mapping[str, Mapping[str, float]]) -> None:
        wanted = {"none": (), "best": ("best",), "all": tuple(metrics)}[self.checkpoints]
        for kind in wanted:
            path = RunDirectory(self.directory).checkpoint(kind)
            if kind not in metrics or not path.is_file():
                continue
            artifact = wandb.Artifact(f"{run.id}-{kind}", type="model", metadata=dict(metrics[kind]))
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / path.name
                write_shareable(path, copy)
                artifact.add_file(str(copy), name=path.name)
                run.log_artifact(artifact, aliases=[kind])

    def _open(self) -> wandb.Run:
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            run = wandb.init(
                project=self.project,
                id=_kept_id(self.directory / ID_FILE),
                name=self.directory.name,
                config=self._config,
                tags=tags(),
                group=group(),
                settings=_settings(self.directory),
            )
        except wandb.Error as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise UserError(
                f"W&B cannot start: {reason} Set WANDB_MODE=offline to upload the run later, or leave out logger=wandb."
            ) from error
        run.define_metric(STEP, hidden=True)
        run.define_metric("*", step_metric=STEP)
        run.define_metric(SELECTION, step_metric=STEP, summary="max")
        self._defined.clear()
        return run


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


def tags() -> list[str]:
    """The options of all groups and the other overrides, as ``name=value``, if Hydra started the run."""
    if not HydraConfig.initialized():
        return []
    choices = HydraConfig.get().runtime.choices
    chosen = [f"{name}={choice}" for name, choice in choices.items() if choice and "/" not in name and "@" not in name]
    return [tag for tag in dict.fromkeys(map(public_override, [*chosen, *_overrides()])) if _is_tag(tag)]


def group() -> str | None:
    """The overrides without the seed, so that the runs of one setting are grouped, if Hydra started the run.

    A hash stands for what is too long or hidden, so that different settings never share a group.
    """
    if not HydraConfig.initialized():
        return None
    parts = sorted(override for override in _overrides() if setting_of(override) != "seed")
    text = " ".join(map(public_override, parts)) or "defaults"
    if len(text) <= _LONGEST_GROUP and HIDDEN not in text:
        return text
    return f"{text[: _LONGEST_GROUP - 9]} {hashlib.sha256(' '.join(parts).encode()).hexdigest()[:8]}"


def _overrides() -> list[str]:
    return [override for override in HydraConfig.get().overrides.task if _is_setting(override)]


def _is_setting(override: str) -> bool:
    return setting_of(override).partition(".")[0].partition("/")[0] not in _NO_TAG


def _is_tag(tag: str) -> bool:
    return len(tag) <= _LONGEST_TAG and _is_setting(tag)


def _kept_id(path: Path) -> str:
    """The id in the file, or a new one, which is written to it."""
    if not path.exists():
        with atomic_write(path) as temporary:
            temporary.write_text(f"{secrets.token_hex(8)}\n")
    return path.read_text().strip()


def _in_netrc(host: str) -> bool:
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        return netrc.netrc(str(path)).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _settings(directory: Path) -> wandb.Settings:
    """Settings that disable all automatic collection by W&B, and all messages except upload errors."""
    chosen = mode()
    return wandb.Settings(
        mode=chosen,
        silent=chosen != "online",
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
        x_disable_stats=True,
        x_save_requirements=False,
    )


_STYLE = "<style>table{border-collapse:collapse;font:14px sans-serif}td,th{padding:4px 8px;text-align:left}</style>"


def html_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Table of a report.

    Args:
        columns: names of the columns.
        rows: cells are text, numbers, or pictures: uint8 ``[H, W, 3]``.
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"{_STYLE}<table><tr>{head}</tr>{body}</table>"


def _cell(cell: Any) -> str:
    if isinstance(cell, np.ndarray):
        content = io.BytesIO()
        Image.fromarray(cell).save(content, "PNG", optimize=True)
        return f'<img src="data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}">'
    return f"{cell:.3f}" if isinstance(cell, float) else escape(str(cell))

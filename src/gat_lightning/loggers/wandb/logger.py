"""The logger of one W&B run."""

import logging
import math
import os
import pickle
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import wandb
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only
from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError

from gat_lightning.errors import UserError
from gat_lightning.files import atomic_write
from gat_lightning.loggers.base import RunLogger
from gat_lightning.loggers.privacy import write_shareable
from gat_lightning.loggers.wandb.labels import choices, group, tags
from gat_lightning.loggers.wandb.session import open_run, upload_command
from gat_lightning.loggers.wandb.tables import html_table
from gat_lightning.runs.environment import git_state, versions
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import SELECTION, scores_in

log = logging.getLogger(__name__)

STEP = "trainer/global_step"
"""The x axis of every figure; the name that Lightning's own logger uses."""

CHECKPOINTS = ("none", "best", "all")
_EXIT_CODES = {"finished": 0, "failed": 1, "interrupted": 255}


class WandbLogger(RunLogger):
    """One W&B run for one run directory.

    The run has the directory's name and keeps its files there. Its id is drawn at the start, or taken from
    ``WANDB_RUN_ID``, and kept in ``wandb_id.txt``: a resumed run continues the same W&B run, and a new run never
    continues an older one with the same settings. A resumed run first logs the rows of ``metrics.csv`` that an
    interruption kept from W&B; their number so far is in ``wandb_rows.txt``. The summary has the best value of every
    ``val/`` metric in ``metrics.csv``, and finally ``best/test/VIEW/METRIC`` and ``last/...``. Neither host name,
    user, command line, console, code nor diff is recorded.

    Args:
        directory: the run directory.
        project: name of the W&B project.
        entity: user or team that owns the project; None for the default of the key.
        group: None for the settings without the seed.
        tags: further tags, besides the settings: a list, or names joined by commas.
        notes: a text about the run.
        job_type: ``train`` or ``evaluate``.
        checkpoints: checkpoints of a finished run to upload as artifacts: ``none``, ``best`` or ``all``. They suffice
            for evaluation and export; :mod:`~gat_lightning.loggers.privacy` removes private settings.
        system_metrics: whether W&B samples the load of processor, memory and GPU.
        environment: whether the configuration has the git commit and the versions of packages.
    """

    shows_pictures = True

    def __init__(
        self,
        directory: str | Path,
        project: str,
        *,
        entity: str | None = None,
        group: str | None = None,
        tags: str | Sequence[str] = (),
        notes: str | None = None,
        job_type: str = "train",
        checkpoints: str = "none",
        system_metrics: bool = False,
        environment: bool = False,
    ) -> None:
        super().__init__(directory)
        if checkpoints not in CHECKPOINTS:
            raise UserError(
                f"logger.wandb.checkpoints is '{checkpoints}'; it must be one of: {', '.join(CHECKPOINTS)}."
            )
        self.checkpoints = checkpoints
        self._labels = {"project": project, "entity": entity, "group": group, "notes": notes, "job_type": job_type}
        given = tags.split(",") if isinstance(tags, str) else tags
        self._tags = [tag.strip() for tag in given if tag.strip()]
        self._system_metrics, self._environment = system_metrics, environment
        self._config: dict[str, Any] = {}
        self._best: dict[str, dict[str, float]] = {}
        self._defined: set[str] = set()
        self._run: wandb.Run | None = None
        self._process = 0
        self._handle = b""
        self._is_lost = False

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
        self._is_lost = False
        self._config = {**config, "choices": choices()}
        if self._environment:
            self._config["environment"] = {"git": git_state(), "versions": versions()}
        if resumed_at is None:
            for file in (self._id_file, self._rows_file):
                file.unlink(missing_ok=True)
        if self.experiment.offline:
            print(f"W&B: offline. To upload this run: {upload_command(self.directory)}", flush=True)
        if resumed_at is not None:
            self._replay(resumed_at)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add one row to the history, and the best validation scores so far to the summary."""
        row = {**metrics, STEP: step or 0}
        self._note(metrics)

        def send(run: wandb.Run) -> None:
            for name in _directions(metrics).keys() - self._defined:
                run.define_metric(name, step_metric=STEP, summary="none")
                self._defined.add(name)
            run.log(row)
            run.summary.update(self._best)

        self._send(send)

    @rank_zero_only
    def log_picture(self, name: str, pixels: np.ndarray, step: int) -> None:
        """Add a picture to the history."""
        self._send(lambda run: run.log({name: wandb.Image(pixels), STEP: step}))

    @rank_zero_only
    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """Add a table to the history, as HTML."""
        self._send(lambda run: run.log({name: wandb.Html(html_table(columns, rows)), STEP: step}))

    @rank_zero_only
    def end(self, status: str, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """Write the summary and the artifacts, and finish the W&B run, if there is one."""
        if self._run is None:
            return
        figures = {f"{kind}/{name}": value for kind, scores in metrics.items() for name, value in scores.items()}
        try:
            self._send(lambda run: run.summary.update({"status": status, **figures}))
            self._send(lambda run: self._log_artifacts(run, metrics))
            if status == "interrupted":
                self._send(lambda run: run.mark_preempting())
        finally:
            self._send(lambda run: run.finish(exit_code=_EXIT_CODES[status]))
            self._run = None
        if not self._is_lost:
            with atomic_write(self._rows_file) as temporary:
                temporary.write_text(f"{len(RunDirectory(self.directory).history())}\n")

    @property
    def _id_file(self) -> Path:
        return self.directory / "wandb_id.txt"

    @property
    def _rows_file(self) -> Path:
        return self.directory / "wandb_rows.txt"

    def _send(self, what: Callable[[wandb.Run], object]) -> None:
        """Write to the W&B run, unless its process has ended, as by a signal that the whole job gets."""
        if self._is_lost:
            return
        try:
            what(self.experiment)
        except (ConnectionError, MailboxClosedError, HandleAbandonedError):
            self._is_lost, self._run = True, None
            log.warning("W&B's own process has ended. The run goes on; what W&B lacks is logged when it is resumed.")
            with suppress(ConnectionError):
                wandb.teardown()  # so that the next run in this process starts it again

    def _note(self, metrics: Mapping[str, float]) -> None:
        """Keep the best validation scores, by name as W&B has them: ``{"max": value}``, or min. NaN is never best."""
        for name, sign in _directions(metrics).items():
            kind, value = "max" if sign > 0 else "min", float(metrics[name])
            if not math.isnan(value) and not (name in self._best and sign * self._best[name][kind] >= sign * value):
                self._best[name] = {kind: value}

    def _replay(self, resumed_at: int) -> None:
        """Log the rows up to the resumed step that W&B does not have."""
        had = int(self._rows_file.read_text()) if self._rows_file.exists() else 0
        for number, cells in enumerate(RunDirectory(self.directory).history()):
            row = {name: float(cell) for name, cell in cells.items() if cell}
            step = int(row.pop("step"))
            if step > resumed_at:
                break
            if number >= had:
                self.log_metrics(row, step)
            else:
                self._note(row)
        self._send(lambda run: run.summary.update(self._best))

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
        labels = {**self._labels, "group": self._labels["group"] or group()}
        run = open_run(
            self.directory,
            self._system_metrics,
            id=self._kept_id(),
            name=os.environ.get("WANDB_NAME") or self.directory.name,
            config=self._config,
            tags=list(dict.fromkeys([*tags(), *self._tags])),
            **labels,
        )
        run.define_metric(STEP, hidden=True)
        run.define_metric("*", step_metric=STEP)
        self._defined.clear()
        return run

    def _kept_id(self) -> str:
        """The id of this directory's W&B run: the kept one, that of the environment, or a new one."""
        if not self._id_file.exists():
            given = os.environ.get("WANDB_RUN_ID")
            if given and _is_multirun():
                raise UserError(
                    f"WANDB_RUN_ID={given} names one W&B run, but -m starts several: unset it, or leave out -m."
                )
            with atomic_write(self._id_file) as temporary:
                temporary.write_text(f"{given or secrets.token_hex(8)}\n")
        return self._id_file.read_text().strip()


def _directions(metrics: Mapping[str, float]) -> dict[str, int]:
    """The validation scores among the metrics: 1 where higher is better, -1 where lower is."""
    found = {str(score): -1 if score.lower_is_better else 1 for score in scores_in(metrics, "val")}
    return {**found, SELECTION: 1} if SELECTION in metrics else found


def _is_multirun() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN

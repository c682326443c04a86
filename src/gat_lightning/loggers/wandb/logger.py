"""The logger of one W&B run."""

import logging
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
from gat_lightning.loggers.wandb.evaluations import claimed, log_to_training
from gat_lightning.loggers.wandb.labels import choices, group, tags
from gat_lightning.loggers.wandb.session import EXIT_CODES, announce_offline, define_scores, is_of_a_sweep, open_run
from gat_lightning.loggers.wandb.summary import STEP, BestScores, directions, evaluations_of, final_figures, rows
from gat_lightning.loggers.wandb.tables import html_table
from gat_lightning.runs.environment import git_state, versions
from gat_lightning.runs.layout import RunDirectory

log = logging.getLogger(__name__)

CHECKPOINTS = ("none", "best", "all")


class WandbLogger(RunLogger):
    """One W&B run for one run directory.

    The run has the directory's name and keeps its files there. Its id is drawn at the start, or taken from
    ``WANDB_RUN_ID``, and kept in ``wandb_id.txt``: a resumed run continues the same W&B run (under a W&B agent that of
    the agent), and a new run never continues an older one with the same settings. A resumed run first logs the rows of
    ``metrics.csv`` that an interruption kept from W&B; their number so far is in ``wandb_rows.txt``. The summary has
    the best value of every ``val/`` metric in ``metrics.csv``, and finally ``best/test/VIEW/METRIC`` and ``last/...``.
    Neither host name, user, command line, console, code nor diff is recorded.

    Args:
        directory: the run directory.
        project: name of the W&B project.
        entity: user or team that owns the project; None for the default of the key.
        group: None for the settings without the seed.
        tags: further tags, besides the settings: a list, or names joined by commas.
        notes: a text about the run.
        job_type: None for ``train``, or ``evaluate`` where an evaluation has a W&B run of its own.
        checkpoints: checkpoints of a finished run to upload as artifacts: ``none``, ``best`` or ``all``. They suffice
            for evaluation and export; :mod:`~gat_lightning.loggers.privacy` removes private settings.
        system_metrics: whether W&B samples the load of processor, memory and GPU.
        environment: whether the configuration has the git commit and the versions of packages.
    """

    shows_pictures = True
    logs_evaluations = True

    def __init__(
        self,
        directory: str | Path,
        project: str,
        *,
        entity: str | None = None,
        group: str | None = None,
        tags: str | Sequence[str] = (),
        notes: str | None = None,
        job_type: str | None = None,
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
        self._files = RunDirectory(self.directory)
        self._config: dict[str, Any] = {}
        self._best = BestScores()
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
            self._run = self._open("train")
            self._handle, self._process = pickle.dumps(self._run), os.getpid()
        elif self._process != os.getpid():
            self._run, self._process = pickle.loads(self._handle), os.getpid()
        return self._run

    def begin(self, config: Mapping[str, Any], resumed_at: int | None) -> None:
        """Start the W&B run: a new one, unless the run is resumed."""
        self._is_lost, self._best = False, BestScores()
        self._set_config(config)
        if resumed_at is None or self._is_in_another_run_of_a_sweep():
            for file in (self._files.wandb_id, self._files.wandb_rows, self._files.wandb_evaluations):
                file.unlink(missing_ok=True)
        announce_offline(self.experiment, self.directory)
        if resumed_at is not None:
            self._replay(resumed_at)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add one row to the history, and the best validation scores so far to the summary."""
        row = {**metrics, STEP: step or 0}
        self._best.add(metrics)

        def send(run: wandb.Run) -> None:
            new = directions(metrics).keys() - self._defined
            define_scores(run, new)
            self._defined |= new
            run.log(row)
            run.summary.update(self._best)

        self._send(send)

    @rank_zero_only
    def log_picture(self, name: str, pixels: np.ndarray, step: int, epoch: int) -> None:
        """Add a picture to the history."""
        self._send(lambda run: run.log({name: wandb.Image(pixels), "epoch": epoch, STEP: step}))

    @rank_zero_only
    def log_table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int, epoch: int
    ) -> None:
        """Add a table to the history, as HTML."""
        table = wandb.Html(html_table(columns, rows))
        self._send(lambda run: run.log({name: table, "epoch": epoch, STEP: step}))

    @rank_zero_only
    def log_evaluation(
        self, config: Mapping[str, Any], figures: Mapping[str, float], training: RunDirectory | None
    ) -> None:
        """Add the figures to the summary of the training's W&B run if it has one; else start and finish a W&B run."""
        with claimed(training) as claim:
            if claim is not None:
                place = {name: self._labels[name] for name in ("project", "entity")}
                log_to_training(claim, figures, self.directory, place)
                return
        self._set_config(config)
        run = self._open("evaluate")
        announce_offline(run, self.directory)
        run.summary.update(dict(figures))
        run.finish(exit_code=EXIT_CODES["finished"])

    @rank_zero_only
    def end(self, status: str, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """Write the summary and the artifacts, and finish the W&B run, if there is one."""
        if self._run is None:
            return
        try:
            self._send(lambda run: run.summary.update(final_figures(status, metrics)))
            self._send(lambda run: self._log_artifacts(run, metrics))
            if status == "interrupted":
                self._send(lambda run: run.mark_preempting())
        finally:
            self._send(lambda run: run.finish(exit_code=EXIT_CODES[status]))
            self._run = None
        if not self._is_lost:
            with atomic_write(self._files.wandb_rows) as temporary:
                temporary.write_text(f"{len(self._files.history())}\n")

    def _set_config(self, config: Mapping[str, Any]) -> None:
        self._config = {**config, "choices": choices()}
        if self._environment:
            self._config["environment"] = {"git": git_state(), "versions": versions()}

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

    def _replay(self, resumed_at: int) -> None:
        """Log the rows up to the resumed step that W&B does not have."""
        had = int(self._files.wandb_rows.read_text()) if self._files.wandb_rows.exists() else 0
        for number, (step, row) in enumerate(rows(self._files)):
            if step > resumed_at:
                break
            if number >= had:
                self.log_metrics(row, step)
            else:
                self._best.add(row)
        self._send(lambda run: run.summary.update({**self._best, **evaluations_of(self._files)}))

    def _log_artifacts(self, run: wandb.Run, metrics: Mapping[str, Mapping[str, float]]) -> None:
        wanted = {"none": (), "best": ("best",), "all": tuple(metrics)}[self.checkpoints]
        for kind in wanted:
            path = self._files.checkpoint(kind)
            if kind not in metrics or not path.is_file():
                continue
            artifact = wandb.Artifact(f"{run.id}-{kind}", type="model", metadata=dict(metrics[kind]))
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / path.name
                write_shareable(path, copy)
                artifact.add_file(str(copy), name=path.name)
                run.log_artifact(artifact, aliases=[kind])

    def _open(self, kind: str) -> wandb.Run:
        given = self._labels
        labels = {**given, "group": given["group"] or group(), "job_type": given["job_type"] or kind}
        run = open_run(
            self.directory,
            self._system_metrics,
            offline_if_refused=kind == "evaluate",  # which took long, and cannot be taken up again
            id=self._kept_id(),
            name=os.environ.get("WANDB_NAME") or self.directory.name,
            config=self._config,
            tags=list(dict.fromkeys([*tags(), *self._tags])),
            **labels,
        )
        self._defined.clear()
        return run

    def _is_in_another_run_of_a_sweep(self) -> bool:
        """Whether a W&B agent, whose id W&B takes in any case, resumes the run under another id than before."""
        given, kept = os.environ.get("WANDB_RUN_ID"), self._files.wandb_id
        return is_of_a_sweep() and kept.exists() and given != kept.read_text().strip()

    def _kept_id(self) -> str:
        """The id of this directory's W&B run: the kept one, that of the environment, or a new one."""
        if not self._files.wandb_id.exists():
            given = os.environ.get("WANDB_RUN_ID")
            if given and _is_multirun():
                raise UserError(
                    f"WANDB_RUN_ID={given} names one W&B run, but -m starts several: unset it, or leave out -m."
                )
            with atomic_write(self._files.wandb_id) as temporary:
                temporary.write_text(f"{given or secrets.token_hex(8)}\n")
        return self._files.wandb_id.read_text().strip()


def _is_multirun() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN

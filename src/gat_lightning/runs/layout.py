"""Layout of a run directory."""

from __future__ import annotations

import csv
import json
from pathlib import Path

RESULT = "result.json"


class RunDirectory:
    """The files of one training or evaluation.

    Args:
        path: of the directory.

    Attributes:
        path: likewise.
        checkpoints: folder of a training's checkpoints.
        last: the checkpoint that ``resume=auto`` goes on from.
        metrics: ``metrics.csv``, one row per logging step and validation.
        result: ``result.json``, what the run did.
        predictions: ``predictions.npz`` of an evaluation.
        evaluations: folder of the run directories of its checkpoints' evaluations.
        progress: folder of what an unfinished evaluation has done.
        images: folder of pictures.
        adversarial: folder of an evaluation's adversarial images, with ``save_adversarial=true``.
        curves: ``images/curves.png`` of a training, its learning curves.
        hydra: folder of what was typed, and of the configuration that it gave.
        log: warnings and messages.
        pretraining: run directory of the pre-training stage.
        teacher: run directory of the stage that trains the teacher of pseudo-labels.
        pseudo_labels: ``pseudo_labels.npz``, what the teacher said of the images without a label.
        wandb_id: the id of a training's W&B run, with ``logger=wandb``.
        wandb_rows: number of rows of ``metrics.csv`` that W&B has.
        wandb_evaluations: figures of evaluations that are in the summary of that W&B run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.last = self.checkpoint("last")
        self.metrics = self.path / "metrics.csv"
        self.result = self.path / RESULT
        self.predictions = self.path / "predictions.npz"
        self.evaluations = self.path / "evaluations"
        self.progress = self.path / "progress"
        self.images = self.path / "images"
        self.adversarial = self.path / "adversarial"
        self.curves = self.images / "curves.png"
        self.hydra = self.path / ".hydra"
        self.log = self.path / "gat.log"
        self.pretraining = self.path / "pretraining"
        self.teacher = self.path / "teacher"
        self.pseudo_labels = self.path / "pseudo_labels.npz"
        self.wandb_id = self.path / "wandb_id.txt"
        self.wandb_rows = self.path / "wandb_rows.txt"
        self.wandb_evaluations = self.path / "wandb_evaluations.json"

    @classmethod
    def of_checkpoint(cls, checkpoint: str | Path) -> RunDirectory | None:
        """The run that a checkpoint was written by; None for a file that lies elsewhere, such as an export."""
        folder = Path(checkpoint).parent
        return cls(folder.parent) if cls(folder.parent).checkpoints == folder else None

    @classmethod
    def of_evaluation(cls, directory: str | Path) -> RunDirectory | None:
        """The run that an evaluation lies in; None for one that lies elsewhere."""
        folder = Path(directory).parent
        return cls(folder.parent) if cls(folder.parent).evaluations == folder else None

    def checkpoint(self, name: str) -> Path:
        """The checkpoint ``best``, ``last``, ``ema`` or ``swa``."""
        return self.checkpoints / f"{name}.ckpt"

    def relative(self, path: Path) -> str:
        """Name of a file in the run's ``result.json``."""
        return path.relative_to(self.path).as_posix()

    @property
    def has_record(self) -> bool:
        """Whether there is a record of a run, be it finished or not, rather than any other folder."""
        return self.result.exists() or self.hydra.exists()

    @property
    def is_stage(self) -> bool:
        """Whether it is a stage before the training of a run, which is a part of that run."""
        run = RunDirectory(self.path.parent)
        return self.path in (run.pretraining, run.teacher) and run.has_record

    @property
    def is_finished(self) -> bool:
        """Whether the run ended well."""
        return self.result.exists() and json.loads(self.result.read_text()).get("status") == "finished"

    def history(self) -> list[dict[str, str]]:
        """The rows of ``metrics.csv``; none where there is no such file."""
        if not self.metrics.is_file():
            return []
        with self.metrics.open(newline="") as file:
            return list(csv.DictReader(file))

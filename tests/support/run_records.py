"""Run directories with records written by hand, and the tables made of them."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from gat_lightning.commands.report import run
from gat_lightning.evaluation.outcomes import Outcomes
from gat_lightning.evaluation.predictions import Predictions
from support.configurations import composed


def config(*overrides: str) -> DictConfig:
    return composed("report", *overrides)


class Cells(HTMLParser):
    """Texts of the tables, row by row, without what is in small print."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._cell = self._small = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = True
            self.rows[-1].append("")
        self._small |= tag == "small"

    def handle_endtag(self, tag: str) -> None:
        self._cell &= tag not in ("td", "th")
        self._small &= tag != "small"

    def handle_data(self, data: str) -> None:
        if self._cell and not self._small:
            self.rows[-1][-1] += data


def cells(path: Path) -> list[list[str]]:
    parser = Cells()
    parser.feed(path.read_text(encoding="utf-8"))
    return [[text.strip() for text in row] for row in parser.rows]


ATTACK = {"_target_": "gat_lightning.attacks.PGD", "norm": "Linf", "eps": "8/255", "steps": 20, "tasks": "target"}


def training(
    folder: Path, name: str, seed: int = 0, typed: list[str] | None = None, accuracy: float = 0.5, **settings: Any
) -> Path:
    directory = folder / name
    directory.mkdir(parents=True)
    if typed is not None:
        (directory / ".hydra").mkdir()
        OmegaConf.save(OmegaConf.create(typed), directory / ".hydra" / "overrides.yaml")
    chosen = {"name": "run", "seed": seed, "test": {"attack": ATTACK}, **settings}
    scores = {"epoch": 1, "test/clean/accuracy": 0.9, "test/pgd20/accuracy": accuracy}
    write(directory, config=chosen, metrics={"best": scores})
    return directory


def evaluation(
    trained: Path, name: str, accuracy: float, correct: Any = None, images: int | None = None, **attacks: dict[str, Any]
) -> Path:
    result = json.loads((trained / "result.json").read_text())
    directory = trained.parent / f"{trained.name}-{name}"
    directory.mkdir()
    scores = {"test/clean/accuracy": 0.9, **{f"test/{view}/accuracy": accuracy for view in (*attacks, "worst")}}
    chosen = {
        "checkpoint": str(trained / "checkpoints" / "best.ckpt"),
        "evaluation": {view: {"attack": attack} for view, attack in attacks.items()},
        "attack": next(iter(attacks.values())),
        "images": images,
    }
    count = 200 if images is None else images
    write(directory, config=chosen, trained=result["config"], metrics={"best": scores}, images=count)
    if correct is not None:
        zeros = np.zeros(len(correct), dtype=np.float32)
        outcomes = Outcomes(np.where(correct, 0, 1), correct, zeros, zeros)
        views = dict.fromkeys(("clean", *attacks, "worst"), outcomes)
        Predictions("multiclass", np.arange(len(correct)), np.zeros(len(correct), dtype=np.int64), views).save(
            directory / "predictions.npz"
        )
    return directory


def write(directory: Path, **result: Any) -> None:
    (directory / "result.json").write_text(json.dumps({"schema": 1, "status": "finished", "files": {}, **result}))


def table(tmp_path: Path, *overrides: str) -> list[list[str]]:
    run(config(f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}", *overrides))
    return cells(tmp_path / "out" / "report.html")

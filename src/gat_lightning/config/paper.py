"""Configuration of the paper's experiments: their scale, and the table row of a run."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from gat_lightning.errors import UserError

SCALES = ("full", "small", "smoke")
"""Budgets of an experiment: the paper's, a part of it, and one that only shows that it runs."""

# Keys of a sweep that do not tell the rows of a table apart.
_NO_ROW = ("seed", "recipe/stand_in")

_ASKED = "python -m gat_lightning.train -m experiment=paper/{table}"


def scaled(full: Any, small: Any, smoke: Any, *, _root_: DictConfig) -> Any:
    """``${scaled:FULL,SMALL,SMOKE}``: the one that ``paper.scale`` names.

    Raises:
        UserError: ``paper.scale`` is none of :data:`SCALES`.
    """
    return dict(zip(SCALES, (full, small, smoke), strict=True))[_scale(_root_)]


def prepare_paper(config: DictConfig) -> None:
    """Check how an experiment of the paper was started, and note in ``paper.row`` what the run is for.

    ``paper.row`` becomes those of the job's overrides that its experiment sweeps over, such as ``[task=macro]``.

    Raises:
        UserError: the experiment is a sweep and was started without ``-m``, a setting is out of its range, or the row
            lacks a file.
    """
    paper = config.paper
    _scale(config)
    if paper.table is None:
        return
    if HydraConfig.initialized():
        hydra = HydraConfig.get()
        if hydra.mode is not RunMode.MULTIRUN:
            raise UserError(
                f"experiment=paper/{paper.table} is a sweep over the rows of the table: add -m, as in"
                f" {_ASKED.format(table=paper.table)} paper.scale=smoke. KEY=VALUE with one of its keys leaves one row."
            )
        keys = set(hydra.sweeper.get("params") or ()) - set(_NO_ROW)
        paper.row = [word for word in hydra.overrides.task if word.partition("=")[0] in keys]
    for name, what in paper.get("needs", {}).items():
        if paper[name] is None:
            raise UserError(f"This row of {paper.table} needs {what}: set paper.{name}=PATH, or leave the row out.")


def _scale(config: DictConfig) -> str:
    scale = str(config.paper.scale)
    if scale not in SCALES:
        raise UserError(f"paper.scale={scale}: it must be one of: {', '.join(SCALES)}.")
    return scale

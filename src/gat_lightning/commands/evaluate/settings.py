"""Settings of an evaluation: what follows from the checkpoint, and which values are right."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gat_lightning.attacks.budget import parse_budget
from gat_lightning.commands.evaluate.subject import data_settings
from gat_lightning.config.naming import naming
from gat_lightning.config.ranges import flag, one_of, whole
from gat_lightning.errors import UserError
from gat_lightning.runs.metric_names import SPLITS

_RANGES = {
    "split": one_of(*SPLITS),
    "images": whole(1, None),
    "batch_size": whole(1),
    "subset": whole(1, None),
    "audit": flag(),
    "vulnerability": flag(),
    "pictures": flag(),
    "device": one_of("auto", "cpu", "cuda", "mps"),
}


def register_resolvers() -> None:
    """Make ``${evaluation_name:}`` and ``${evaluation_eps:}`` known to the configuration."""
    OmegaConf.register_new_resolver("evaluation_name", lambda *, _root_: _name(_root_), replace=True)
    OmegaConf.register_new_resolver("evaluation_eps", lambda *, _root_: _eps(_root_), replace=True)


def check_evaluation(config: DictConfig) -> None:
    """Raise `UserError` for the first setting that is out of its range."""
    for name, allowed in _RANGES.items():
        if not allowed.holds(config[name]):
            raise UserError(f"{name}={config[name]!r}: it must be {allowed.right}.")
    if config.resume not in (None, "auto"):
        raise UserError(f"resume={config.resume!r}: it must be auto or null.")
    views = {f"evaluation.{view}": node for view, node in (config.get("evaluation") or {}).items()}
    for name, node in {**views, "curve": config.curve}.items():
        if node.attack.tasks != config.attack.tasks:
            raise UserError(f"{name}.attack.tasks: one evaluation attacks the same tasks; set attack.tasks.")
    normalize = config.normalize
    if normalize not in (None, "data") and not (
        isinstance(normalize, DictConfig) and set(normalize) == {"mean", "std"}
    ):
        raise UserError(f"normalize={normalize!r}: it must be null, data, or {{mean: [...], std: [...]}}.")
    with naming(config, "curve"):
        for eps in config.curve.eps:
            parse_budget(eps, "eps", 0)


def _name(config: DictConfig) -> str:
    """Such as ``quickstart-1a2b3c4d-best-pgd20``: the run, the checkpoint and the evaluation."""
    if config.checkpoint is None:
        subject = str(config.model._target_).rpartition(".")[2] if config.model else "nothing"
    else:
        path = Path(config.checkpoint)
        run = path.parent.parent.name if path.parent.name == "checkpoints" else ""
        subject = "-".join(filter(None, (run, path.stem)))
    views = [str(view) for view in config.get("evaluation") or ()]
    return f"{subject}-{'clean' if not views else views[0] if len(views) == 1 else f'{len(views)}attacks'}"


def _eps(config: DictConfig) -> float | str:
    """The data set's; 0 where it cannot be told, of which :func:`load_subject` then says why.

    OmegaConf would wrap an error raised here in words about interpolations.
    """
    try:
        data = data_settings(config)
    except UserError:
        return 0.0
    return 0.0 if data is None else data.eps

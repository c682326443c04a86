"""Names and places of evaluations: inside the run that they are of, or beside the runs."""

import os
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from gat_lightning.runs.hashing import configuration_hash, hashed_settings, settings_hash
from gat_lightning.runs.layout import RunDirectory

_PREFIX = "model."


def attacks_name(config: DictConfig) -> str:
    """The attacks of an evaluation in one word: ``pgd20``, ``2attacks``, or ``clean``."""
    views = [str(view) for view in config.get("evaluation") or ()]
    return "clean" if not views else views[0] if len(views) == 1 else f"{len(views)}attacks"


def evaluation_name(config: DictConfig) -> str:
    """The run, the checkpoint and the evaluation, such as ``quickstart-1a2b3c4d-best-pgd20``."""
    if config.checkpoint is None:
        subject = str(config.model._target_).rpartition(".")[2] if config.model else "nothing"
    else:
        run = RunDirectory.of_checkpoint(config.checkpoint)
        subject = "-".join([*([run.path.name] if run else []), Path(config.checkpoint).stem])
    return f"{subject}-{attacks_name(config)}"


def first_evaluation(config: DictConfig) -> str:
    """Directory of the first evaluation with these settings, seen from ``paths.output``.

    That of a run's checkpoint is ``RUN/evaluations/NAME-HASH``. The hash is over the settings, the checkpoint's kind
    (``best``, ``last``...) and a digest of its weights: it does not depend on where the run is. Where the run cannot be
    written to, and for a checkpoint that lies in no run, it is ``NAME-HASH`` in ``paths.output``; so it is for models
    that are not ours, with a hash over all settings as they were typed.

    With ``skip_finished`` it is where a finished one is, be it in the run or in ``paths.output``, where earlier
    versions kept all of them.
    """
    digest = None if config.checkpoint is None else digest_of(config.checkpoint)
    if digest is None:
        return f"{config.name}-{configuration_hash(config)}"
    number = settings_hash(_by_content(config, digest))
    outside, run = f"{config.name}-{number}", _run_of(config.checkpoint)
    own_name = attacks_name(config) if config.name == evaluation_name(config) else config.name
    inside = None if run is None else _seen_from(config.paths.output, run.evaluations / f"{own_name}-{number}")
    if config.skip_finished:
        for place in filter(None, (inside, outside, *_earlier(config))):
            if RunDirectory(Path(config.paths.output) / place).is_finished:
                return place
    return inside if inside is not None and run is not None and _is_writable(run) else outside


def digest_of(checkpoint: str) -> str | None:
    """Digest of the model's weights in a checkpoint of ours, which is read once; None for any other file."""
    path = Path(checkpoint)
    return _read_digest(os.path.abspath(path), path.stat().st_mtime_ns) if path.is_file() else None


@cache
def _read_digest(path: str, modified: int) -> str | None:
    import torch

    from gat_lightning.models.digest import weights_digest

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        return weights_digest({name: state[name] for name in state if name.startswith(_PREFIX)})
    except MemoryError:
        raise
    except Exception:  # whatever another kind of file provokes
        return None


def _by_content(config: DictConfig, digest: str) -> dict[str, Any]:
    """The settings with the weights of checkpoints in place of their paths."""
    settings = {key: value for key, value in hashed_settings(config).items() if key != "name"}
    surrogate = settings.get("surrogate")
    if surrogate is not None:
        paths = [surrogate] if isinstance(surrogate, str) else surrogate
        settings["surrogate"] = [digest_of(path) or path for path in paths]
    return {**settings, "checkpoint": {"kind": Path(config.checkpoint).stem, "weights": digest}}


def _earlier(config: DictConfig) -> list[str]:
    """Names that earlier versions gave, whose hash was also over the checkpoint's path as it was typed."""
    settings, path = hashed_settings(config), config.checkpoint
    spelled = dict.fromkeys((path, os.path.relpath(path), os.path.abspath(path)))
    return [f"{config.name}-{settings_hash({**settings, 'checkpoint': each})}" for each in spelled]


def _run_of(checkpoint: str) -> RunDirectory | None:
    run = RunDirectory.of_checkpoint(os.path.abspath(checkpoint))
    return run if run is not None and run.has_record else None


def _is_writable(run: RunDirectory) -> bool:
    return os.access(run.evaluations if run.evaluations.exists() else run.path, os.W_OK | os.X_OK)


def _seen_from(output: str, path: Path) -> str:
    """The path relative to a folder that it lies in, else absolute."""
    folder = os.path.abspath(output)
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)

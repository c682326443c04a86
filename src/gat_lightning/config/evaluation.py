"""Settings that an evaluation takes from its checkpoint: the run's name, the data set and the radius."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gat_lightning.errors import UserError
from gat_lightning.runs.directory import setting_of, typed_overrides
from gat_lightning.runs.layout import RunDirectory

SPLIT_SETTINGS = (
    *("seed", "fraction", "val_fraction", "test_fraction", "split", "split_seed", "view", "per_patient", "classes"),
)
"""Settings of ``data`` that decide which images a split has."""


def data_settings(config: DictConfig) -> DictConfig | None:
    """The settings of the data set to evaluate on: the checkpoint's, updated by those of ``data``.

    Where ``data`` names the checkpoint's own data set, at whatever path, :data:`SPLIT_SETTINGS` stay those of the
    training unless the command line sets them, since another split would validate on training images. In a program
    that calls Hydra's ``compose`` there is no command line, and none counts as set. Where ``data`` names another data
    set, nothing of the checkpoint's is used.

    Returns:
        None where neither the checkpoint nor ``data`` names a data set.

    Raises:
        UserError: the checkpoint cannot be read.
    """
    from gat_lightning.config.checkpoint import load_settings  # imports Lightning, which other commands' help needs not

    chosen = config.get("data")
    own = {} if chosen is None else OmegaConf.to_container(chosen, resolve=True)
    assert isinstance(own, dict)
    if config.checkpoint is None or is_export(config):
        return OmegaConf.create(own) if own else None
    trained = load_settings(config.checkpoint)["data"]
    if "_target_" not in own:
        return OmegaConf.create({**trained, **own})
    if own["_target_"] == trained.get("_target_"):
        changed = {setting_of(override) for override in typed_overrides()}
        own |= {name: trained[name] for name in SPLIT_SETTINGS if name in trained and f"data.{name}" not in changed}
    return OmegaConf.create(own)


def is_export(config: DictConfig) -> bool:
    """Whether ``checkpoint`` is an exported classifier, which holds no settings of a training."""
    from gat_lightning.formats.safetensors import Safetensors

    return Path(config.checkpoint).suffix == Safetensors.suffix


def evaluation_name(config: DictConfig) -> str:
    """The run, the checkpoint and the evaluation, such as ``quickstart-1a2b3c4d-best-pgd20``."""
    if config.checkpoint is None:
        subject = str(config.model._target_).rpartition(".")[2] if config.model else "nothing"
    else:
        run = RunDirectory.of_checkpoint(config.checkpoint)
        subject = "-".join([*([run.path.name] if run else []), Path(config.checkpoint).stem])
    views = [str(view) for view in config.get("evaluation") or ()]
    return f"{subject}-{'clean' if not views else views[0] if len(views) == 1 else f'{len(views)}attacks'}"


def evaluation_eps(config: DictConfig) -> float | str:
    """The data set's radius; 0 where the checkpoint cannot be read, which is reported when it is loaded.

    OmegaConf would wrap an error raised here in a message about interpolations.
    """
    try:
        data = data_settings(config)
    except UserError:
        return 0.0
    return 0.0 if data is None else data.eps

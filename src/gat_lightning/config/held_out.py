"""Check that a checkpoint is not scored on patients that it was trained on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.data.patients import is_unseen
from gat_lightning.errors import UserError
from gat_lightning.info import PatientSplit


def check_held_out(checkpoint: str | Path, patients: PatientSplit | None, splits: Sequence[str]) -> None:
    """Check that splits have no training patient of a checkpoint.

    Checkpoints keep the settings of their splits, not their patients: where the settings do not rule out a training
    patient, the split is refused.

    Args:
        checkpoint: checkpoint of gat_lightning.
        patients: settings of the data to score on; None if they are not split by patient.
        splits: splits to score on, ``val`` or ``test``.

    Raises:
        UserError: a split may have a training patient, or the checkpoint cannot be read.
    """
    if patients is None:
        return
    origin = load_checkpoint(checkpoint)["gat_lightning"]
    if origin["data"].get("name") != patients.dataset:
        return
    if kept := origin["data"].get("patients"):
        trained = PatientSplit(**kept)
    else:  # an earlier version's
        trained = replace(patients, split=origin["config"]["data"].get("split"), split_seed=None)
    check_unseen(checkpoint, trained, patients, splits)


def check_unseen(model: str | Path, trained: PatientSplit, patients: PatientSplit, splits: Sequence[str]) -> None:
    """Check that splits have no training patient of a model.

    Args:
        model: name of its file, for messages.
        trained: settings of the data that it was trained on.
        patients: settings of the data to score on.
        splits: splits to score on, ``val`` or ``test``.

    Raises:
        UserError: the data set is the same, and a split may have a training patient.
    """
    if trained.dataset != patients.dataset:
        return
    for split in splits:
        if not is_unseen(split, patients, trained):
            reason, remedy = _unknown(patients, trained, splits) if trained.split_seed is None else _known(trained)
            raise UserError(
                f"'{model}' was trained on {trained.dataset} {reason}, and the {split} split with"
                f" {_settings(patients)} may have patients of its training: {remedy}"
            )


def _known(trained: PatientSplit) -> tuple[str, str]:
    return f"with {_settings(trained)}", "use the same settings for both"


def _unknown(patients: PatientSplit, trained: PatientSplit, splits: Sequence[str]) -> tuple[str, str]:
    official = replace(patients, split="official")
    helps = all(is_unseen(split, official, trained) for split in splits)
    remedy = "set data.split=official, or use another data set" if helps else "use another data set, or train again"
    return "by a version that drew patients in another way", remedy


def _settings(patients: PatientSplit) -> str:
    names = ["split", "split_seed", *(["test_fraction"] if patients.split == "patients" else []), "val_fraction"]
    return " ".join(f"data.{name}={getattr(patients, name)}" for name in names)

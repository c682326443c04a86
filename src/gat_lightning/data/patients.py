"""Splits by patient: a patient's split follows from the patient alone, whatever other rows and patients there are."""

import hashlib

import torch
from torch import Tensor

from gat_lightning.errors import UserError
from gat_lightning.info import PatientSplit
from gat_lightning.randomness import generator_for


def is_drawn(patient: str, fraction: float, split_seed: int, purpose: str) -> bool:
    """Whether a patient is in the drawn share of all patients.

    The first 8 bytes of the SHA-256 of ``split_seed/purpose/patient``, a big-endian number, are compared with
    ``fraction * 2**64``. Draws with another purpose or seed are independent. Patients drawn with a smaller fraction are
    drawn with a larger one too.

    Args:
        patient: the data set's own identifier of the patient.
        fraction: expected share of the patients that are drawn, in [0, 1].
        split_seed: seed of the draw.
        purpose: ``test``, ``validation`` or ``fraction``.
    """
    digest = hashlib.sha256(f"{split_seed}/{purpose}/{patient}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


def held_out(patients: Tensor, split: PatientSplit, official: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Test and validation images.

    Args:
        patients: number of the patient of every image in the data set's tables, long ``[N]``.
        split: settings of the draws.
        official: mask of the official test images, bool ``[N]``, which then replace the draw for ``test``.

    Returns:
        Masks of the test and of the validation images, bool ``[N]``; no patient is in both.
    """
    test = _drawn(patients, split.test_fraction, split, "test") if official is None else official
    return test, ~test & _drawn(patients, split.val_fraction, split, "validation")


def divide_patients(
    patients: Tensor, split: PatientSplit, fraction: float, official: Tensor | None = None
) -> dict[str, Tensor]:
    """Divide images into splits by patient.

    Args:
        patients: as for :func:`held_out`.
        split: likewise.
        fraction: expected share of the training and validation patients to keep, in (0, 1].
        official: as for :func:`held_out`.

    Returns:
        Positions of the images of ``train`` and ``test``, ascending, of ``val``, shuffled, so that the first ones are a
        fair sample, and of ``rest``, those of the training patients that are not kept, ascending.

    Raises:
        UserError: a split has no image.
    """
    test, val = held_out(patients, split, official)
    kept = _drawn(patients, fraction, split, "fraction")
    total = f"{len(patients):,} images of {len(patients.unique()):,} patients"
    for name, part in (("test", test), ("training", ~test)):
        if not part.any():
            remedy = "" if official is not None else "; change data.test_fraction"
            raise UserError(f"data.split={split.split} leaves no {name} image of the {total}{remedy}")
    for name, part in (("validation", val & kept), ("training", ~test & ~val & kept)):
        if not part.any():
            raise UserError(
                f"data.val_fraction={split.val_fraction} and data.fraction={fraction} leave no {name} image of the"
                f" {total}; change one of them"
            )
    parts = {"train": ~test & ~val & kept, "val": val & kept, "test": test, "rest": ~test & ~val & ~kept}
    rows = {name: part.nonzero().flatten() for name, part in parts.items()}
    order = torch.randperm(len(rows["val"]), generator=generator_for(str(split.split_seed), "validation order"))
    return {**rows, "val": rows["val"][order]}


def is_unseen(split: str, evaluated: PatientSplit, trained: PatientSplit) -> bool:
    """Whether a split certainly has no training patient of a run on the same data set.

    Args:
        split: ``val`` or ``test``.
        evaluated: settings that the split follows from.
        trained: settings of the run.
    """
    same_draws = trained.split_seed is not None and evaluated.split_seed == trained.split_seed
    if split == "val":
        return same_draws and evaluated.val_fraction <= trained.val_fraction
    if evaluated.split == "official":
        return evaluated.official_apart or trained.split == "official"
    return same_draws and trained.split == "patients" and evaluated.test_fraction <= trained.test_fraction


def _drawn(patients: Tensor, fraction: float, split: PatientSplit, purpose: str) -> Tensor:
    numbers, of_image = patients.unique(return_inverse=True)
    assert split.split_seed is not None
    drawn = [is_drawn(str(number), fraction, split.split_seed, purpose) for number in numbers.tolist()]
    return torch.tensor(drawn, dtype=torch.bool)[of_image]

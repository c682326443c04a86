"""Description of a data set, available before any image is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gat_lightning.validate import check_normalization

LabelKind = Literal["multiclass", "binary", "regression", "dense"]


NO_TARGET = "none"
"""What ``data.target`` says where there is no target task: pre-training on self-supervised tasks alone."""

BINARY_LABELS = {
    "CheXpert": (
        "no_finding",
        "enlarged_cardiomediastinum",
        "cardiomegaly",
        "lung_opacity",
        "lung_lesion",
        "edema",
        "consolidation",
        "pneumonia",
        "atelectasis",
        "pneumothorax",
        "pleural_effusion",
        "pleural_other",
        "fracture",
        "support_devices",
    ),
    "NIH": (
        "atelectasis",
        "cardiomegaly",
        "effusion",
        "infiltration",
        "mass",
        "nodule",
        "pneumonia",
        "pneumothorax",
        "consolidation",
        "edema",
        "emphysema",
        "fibrosis",
        "pleural_thickening",
        "hernia",
    ),
}
"""Binary labels by the name of the data set's class, in the order of its table.

They are here so that a misspelt task is refused before torch and Lightning are imported. A data set outside of this
package declares them as its class's ``binary_labels``.
"""


@dataclass(frozen=True)
class LabelInfo:
    """One label that a data set has for its images.

    Attributes:
        classes: names of the classes, in the order of their indices; of a binary label its negative and its positive
            one, of a regression label none.
        kind: ``multiclass`` and ``binary``: class index, long, -1 where missing; ``regression``: float, NaN where
            missing; ``dense``: float ``[c, H, W]`` in [0, 1] in the images' size, NaN where missing.
        counts: how many training images the data set lists of each class; empty where it does not count them.
        scale: what a regression label has to be multiplied with to be in ``unit``.
        unit: of a regression label, such as ``years``.
    """

    classes: tuple[str, ...]
    kind: LabelKind = "multiclass"
    counts: tuple[int, ...] = ()
    scale: float = 1.0
    unit: str = ""

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> LabelInfo:
        """From what ``dataclasses.asdict`` made of one, perhaps before later attributes existed."""
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in plain.items()}
        return cls(**values)


@dataclass(frozen=True)
class PatientSplit:
    """Settings that decide which patient is in which split; a checkpoint keeps them, and never the patients.

    Attributes:
        dataset: the data set, as messages call it.
        split: ``patients`` (tests on drawn patients) or ``official`` (tests on the official test images).
        split_seed: seed of the draws; None where it is unknown.
        test_fraction: expected share of the patients that are tested on; unused with ``official``.
        val_fraction: expected share of the other patients that are validated on.
        official_apart: whether ``split=patients`` leaves the official test patients out altogether.
    """

    dataset: str
    split: str
    split_seed: int | None
    test_fraction: float
    val_fraction: float
    official_apart: bool


@dataclass(frozen=True)
class DataInfo:
    """Shape of the images and the labels that come with them.

    Attributes:
        name: the data set, as messages call it.
        image: ``(C, H, W)``.
        mean: per channel, of pixels in [0, 1], for the model's normalisation layer.
        std: likewise.
        labels: the labels in a batch, by name.
        orientation: what is lost when an image is turned, as the end of a sentence that begins with "of a turned
            image"; empty where nothing is.

    Raises:
        SettingError: ``mean`` or ``std`` is not of pixels in [0, 1].
    """

    name: str
    image: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: dict[str, LabelInfo] = field(default_factory=dict)
    orientation: str = ""
    patients: PatientSplit | None = None

    def __post_init__(self) -> None:
        check_normalization(self.mean, self.std)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> DataInfo:
        """From what ``dataclasses.asdict`` made of one, such as a checkpoint keeps."""
        labels = {name: LabelInfo.from_plain(label) for name, label in plain["labels"].items()}
        channels, height, width = plain["image"]
        patients = plain.get("patients")
        return cls(
            plain["name"],
            (channels, height, width),
            tuple(plain["mean"]),
            tuple(plain["std"]),
            labels,
            plain.get("orientation", ""),
            None if patients is None else PatientSplit(**patients),
        )

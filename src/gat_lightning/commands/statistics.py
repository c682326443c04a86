"""Statistics of a data set, the paper's Tables 6 and 7: ``python -m gat_lightning.data statistics data=NAME ...``."""

import sys

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from torch import Tensor

from gat_lightning.batch import has_label
from gat_lightning.commands.file_checks import check_files
from gat_lightning.config.build import build_data
from gat_lightning.config.command_line import command
from gat_lightning.data.base import ImageDataModule
from gat_lightning.data.chest import FIRST, MERGED, ChestXrays
from gat_lightning.data.listed import ListedPictures
from gat_lightning.data.records import Population

ALL, LISTED = "all", "listed"
_NONE = "-"


def run(config: DictConfig) -> None:
    """Print the paper's Tables 6 and 7 for the configured data set, and the duplicates and files left over.

    Of chest X-rays the labels are counted twice: merged by patient as in Table 7, and each image's own.
    """
    console, data = Console(), [build_data(config)]
    if isinstance(data[0], ChestXrays):
        config.data.per_patient = FIRST if data[0].per_patient == MERGED else MERGED
        data.append(build_data(config))
    for table in [*summarise(*data), check_files(data[0])]:
        console.print(table)


def main() -> None:
    """Run the command that the first argument names; ``statistics`` is the only one."""
    if sys.argv[1:2] != ["statistics"]:
        raise SystemExit("Usage: python -m gat_lightning.data statistics data=NAME [data.KEY=VALUE ...]")
    del sys.argv[1]
    command("statistics", run)()


def summarise(data: ImageDataModule, *others: ImageDataModule) -> list[Table]:
    """Tables with the number of images and patients, age and sex, and the number of each label, by split.

    Pictures that tables list are not opened; other data sets are read.

    Args:
        data: before or after its setup.
        *others: the same data set with other settings, of which only the labels are counted.

    Returns:
        Table 6, where there are ``listed`` ones, with all that the files list beside those that the settings choose;
        then Table 7 of each.
    """
    if isinstance(data, ListedPictures):
        data.report_rows()
    return [_populations(data), *map(_labels, (data, *others))]


def _by_split(data: ImageDataModule) -> dict[str, dict[str, Tensor]]:
    """Labels of all images, and of each split."""
    labels = data.split_labels()
    return {ALL: {name: torch.cat([of[name] for of in labels.values()]) for name in data.label_infos()}, **labels}


def _populations(data: ImageDataModule) -> Table:
    """Paper, Table 6."""
    labels, infos = _by_split(data), data.label_infos()
    populations: dict[str, Population] = {}
    images = {split: len(next(iter(of_split.values()))) for split, of_split in labels.items()}
    if isinstance(data, ListedPictures) and data.records.listed is not None:
        listed, patients = data.records.listed, data.records.patients
        assert patients is not None
        groups = {name: patients[rows] for name, rows in data.parts.items()}
        groups[ALL] = torch.cat(list(groups.values()))
        years = infos["age"].scale
        populations = {LISTED: listed} | {
            split: Population(groups[split], of_split["age"].double() * years, of_split["gender"])
            for split, of_split in labels.items()
        }
        images = {LISTED: len(listed.patients), **images}
    table = Table("", *images, title="Images and patients")
    table.add_row("images", *(f"{count:,}" for count in images.values()))
    if populations:
        people = list(populations.values())
        table.add_row("patients", *(f"{len(population.patients.unique()):,}" for population in people))
        table.add_row("age: mean (std)", *(_mean_and_deviation(p.age) for p in people))
        table.add_row("female", *(f"{(p.gender == 0).double().mean():.1%}" for p in people))
        binary = sum(info.kind == "binary" for info in infos.values())
        table.add_row("pathology labels", *[str(binary)] * len(people))
    return table


def _mean_and_deviation(age: Tensor) -> str:
    known = age[has_label(age)]
    return f"{known.mean():.1f} ({known.std():.1f})" if len(known) > 1 else _NONE


def _labels(data: ImageDataModule) -> Table:
    """Paper, Table 7: positives and negatives of binary labels, images of each class of others."""
    labels, reading = _by_split(data), ""
    if isinstance(data, ChestXrays):
        reading = f" with data.per_patient={data.per_patient}{' (paper, Table 7)' * (data.per_patient == MERGED)}"
    table = Table("label", *labels, title=f"Labels{reading}: positive/negative, or images")
    for name, info in data.label_infos().items():
        if info.kind == "binary":
            signs = ([str(int((of[name] == sign).sum())) for sign in (1, 0)] for of in labels.values())
            table.add_row(name, *map("/".join, signs))
            continue
        for index, cls in enumerate(info.classes):
            table.add_row(f"{name} {cls}", *(str(int((of[name] == index).sum())) for of in labels.values()))
        missing = [int((~has_label(of[name])).sum()) for of in labels.values()]
        if any(missing):
            table.add_row(f"{name} missing", *map(str, missing))
    return table

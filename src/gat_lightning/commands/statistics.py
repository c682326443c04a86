"""Statistics of a data set, the paper's Tables 6 and 7: ``python -m gat_lightning.data statistics data=NAME ...``."""

import sys
from collections.abc import Mapping

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from torch import Tensor

from gat_lightning.batch import has_label
from gat_lightning.config.build import build_data
from gat_lightning.config.command_line import command
from gat_lightning.data.base import ImageDataModule
from gat_lightning.data.listed import ListedPictures
from gat_lightning.data.records import Population
from gat_lightning.info import LabelInfo

ALL, LISTED = "all", "listed"
_NONE = "-"


def run(config: DictConfig) -> None:
    """Print the paper's Tables 6 and 7 for the configured data set."""
    console = Console()
    for table in summarise(build_data(config)):
        console.print(table)


def main() -> None:
    """Run the command that the first argument names; ``statistics`` is the only one."""
    if sys.argv[1:2] != ["statistics"]:
        raise SystemExit("Usage: python -m gat_lightning.data statistics data=NAME [data.KEY=VALUE ...]")
    del sys.argv[1]
    command("statistics", run)()


def summarise(data: ImageDataModule) -> list[Table]:
    """Tables with the number of images and patients, age and sex, and the number of each label, by split.

    Pictures that tables list are not opened; other data sets are read.

    Args:
        data: before or after its setup.

    Returns:
        Table 6, where there are ``listed`` ones, with all that the files list beside those that the settings choose;
        then Table 7.
    """
    if isinstance(data, ListedPictures):
        data.report_rows()
    labels, infos = data.split_labels(), data.label_infos()
    labels = {ALL: {name: torch.cat([split[name] for split in labels.values()]) for name in infos}, **labels}
    return [_populations(data, labels, infos), _labels(labels, infos)]


def _populations(
    data: ImageDataModule, labels: Mapping[str, Mapping[str, Tensor]], infos: Mapping[str, LabelInfo]
) -> Table:
    """Paper, Table 6."""
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


def _labels(labels: Mapping[str, Mapping[str, Tensor]], infos: Mapping[str, LabelInfo]) -> Table:
    """Paper, Table 7: positives and negatives of binary labels, images of each class of others."""
    table = Table("label", *labels, title="Labels: positive/negative, or images")
    for name, info in infos.items():
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

"""Test of a trained model: its scores, a table of them and a picture."""

from pathlib import Path

import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table

from gat_lightning.attacks.problem import BinaryProblem, ClassifierProblem
from gat_lightning.batch import has_label
from gat_lightning.data import ImageDataModule
from gat_lightning.figures.gallery import adversarial_gallery
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.metric_names import target_scores
from gat_lightning.training.module import GATModule


def test(
    trainer: pl.Trainer, module: GATModule, data: ImageDataModule, directory: RunDirectory
) -> dict[str, dict[str, float]]:
    """Test every checkpoint that the run wrote, clean and under attack; the module keeps the best one's weights."""
    names = [name for name in ("best", "last", "ema", "swa") if directory.checkpoint(name).is_file()]
    metrics = {}
    for name in reversed(names):
        checkpoint = torch.load(directory.checkpoint(name), map_location=module.device, weights_only=True)
        module.load_state_dict(checkpoint["state_dict"])
        scores = trainer.test(module, datamodule=data, verbose=False)[0]
        metrics[name] = {"epoch": int(checkpoint["epoch"]) + 1, **scores}
    return {name: metrics[name] for name in names}


def count_test_images(trainer: pl.Trainer, data: ImageDataModule) -> int:
    """Number of images in the test scores: those in the tested batches that have the target's label."""
    data.setup("test")
    split = data.split("test")
    tested = min(len(split), int(sum(trainer.num_test_batches)) * data.batch_size)
    return int(has_label(split.labels[data.target][:tested]).sum()) if data.target in split.labels else tested


def write_images(module: GATModule, data: ImageDataModule, path: Path) -> bool:
    """Draw the first test images under the test attack.

    Returns:
        False where there is nothing to draw: the target is a number, a self-supervised task or not labelled.
    """
    path.parent.mkdir(exist_ok=True)
    data.setup("test")
    attack = next(iter(module.attacks["test"].values()))
    batch = next(iter(data.test_dataloader())).to(module.device)
    target = module.tasks[0]
    if target.kind == "regression" or target.transforms:
        return False
    label = batch.labels[target.name]
    shown = has_label(label).nonzero().flatten()[:8]
    if len(shown) == 0:
        return False
    adversarial_gallery(
        {"this model": module.model.single_task().eval()},
        batch.images[shown],
        label[shown],
        data.info.labels[target.name].classes,
        attack,
        path,
        BinaryProblem if target.kind == "binary" else ClassifierProblem,
    )
    return True


def print_metrics(metrics: dict[str, dict[str, float]], directory: Path) -> None:
    """Print the test scores of each checkpoint, and the difference between the best and the last one."""
    names = target_scores(next(iter(metrics.values()), ()), "test")
    table = Table("checkpoint", "epoch", *(name.shown for name in names), title="Test images")
    for checkpoint, scores in metrics.items():
        table.add_row(checkpoint, str(scores["epoch"]), *(name.text(scores[str(name)]) for name in names))
    if "best" in metrics and "last" in metrics:
        gaps = {name: metrics["best"][str(name)] - metrics["last"][str(name)] for name in names}
        table.add_row("best - last", "", *(name.text(gap) for name, gap in gaps.items()))
    console = Console()
    console.print(table)
    console.print(f"Run directory: {directory}", soft_wrap=True)

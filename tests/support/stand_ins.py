"""What stands in for the placeholders of the documentation, so that its commands and snippets can be run.

``RUN``, ``RUN_A``, ``A.ckpt``, ``mine.npz``, ``pictures`` and the like are files of these names, in a folder that
commands run in. What cannot be a file is replaced in the text, see :data:`REPLACED`.
"""

import re
import shutil

import numpy as np
import torch
from torchvision.models import resnet18

from gat_lightning.commands.evaluate.run import run as evaluate
from gat_lightning.commands.export import run as export
from gat_lightning.commands.train.run import run as train
from gat_lightning.data.array_base import LabelledImages, Splits
from support.documents import REPOSITORY
from support.picture_folders import save
from support.typed_commands import composed, quietly
from support.xray_folders import chexpert_folder, nih_folder

EXTENSION = REPOSITORY / "tests" / "extension"
"""The project that ``docs/extend.md`` shows; its commands are run in it."""

REPLACED = (
    (r"^\.\.\.$", "experiment=quickstart"),
    (r"^checkpoint=…$", "checkpoint=RUN/checkpoints/best.ckpt"),
    (r"^init=outputs/pretrained-…/", "init=RUN/"),
    (r"^checkpoint=outputs/digits-\w+/", "checkpoint=RUN/"),
    (r"\$run/", "RUN/"),
    (r"^data.root=/data/CheXpert-v1.0-small$", "data.root=chexpert"),
    (r"^data.root=/data/NIH$", "data.root=nih"),
    (r"^data.target=pneumonia$", "data.target=cardiomegaly"),  # of which the stand-in for NIH has some
    (r"^data.extra=FILE$", "data.extra=generated.npz"),
    (r"^encoder.weights=FILE$", "encoder.weights=weights.pt"),
    (r"^conf$", str(EXTENSION / "conf")),
)
"""Patterns in a word of a command, and what stands there instead."""

ONE_STEP = [f"{attack}.steps=1" for attack in ("attack", "validation.attack", "test.attack")]


def replaced(words):
    """A command's words without placeholders."""
    for pattern, instead in REPLACED:
        words = [re.sub(pattern, instead, word) for word in words]
    return words


def cifar10():
    """What CIFAR-10 gives, of fewer and smaller images."""
    splits = {}
    for part, count in (("train", 200), ("test", 20)):
        images = torch.randint(256, (count, 3, 8, 8), dtype=torch.uint8)
        splits[part] = LabelledImages(images, {"class": torch.arange(count) % 10})
    return Splits(**splits)


def make_run(folder):
    """``RUN``, with an export; ``outputs``, with that run, others without tasks and of a table, and a sweep."""
    kinds = {"quickstart": [], "none": ["task=none", "weighting=equal"], "table2": ["task=macro", "paper.table=table2"]}
    for name, settings in kinds.items():
        directory = folder / "outputs" / f"{name}-00000000"
        (directory / ".hydra").mkdir(parents=True)
        words = ["experiment=quickstart", "trainer.max_epochs=1", "data.fraction=0.1", *ONE_STEP, *settings]
        (directory / ".hydra" / "overrides.yaml").write_text("".join(f"- {word}\n" for word in words))
        (config,) = composed("train", [*words, f"paths.run={directory}"])
        if name == "table2":
            config.paper.row = ["weighting=mgda"]
        quietly(train, config)
    run = folder / "outputs" / "quickstart-00000000"
    (folder / "RUN").symlink_to(run)
    (folder / "outputs" / "demo").mkdir()
    (folder / "outputs" / "demo" / "quickstart").symlink_to(run)
    for name in ("quickstart", "none"):
        shutil.copytree(folder / "outputs" / f"{name}-00000000", folder / "outputs" / "sweep" / name)
    for name, checkpoint in (("A", "best"), ("B", "last")):
        (folder / f"{name}.ckpt").symlink_to(run / "checkpoints" / f"{checkpoint}.ckpt")
    (config,) = composed("export", [f"checkpoint={run}/checkpoints/best.ckpt"])
    quietly(export, config)


def make_evaluations(folder):
    """``RUN_A`` to ``RUN_D``, of the same images under AutoAttack."""
    words = [
        f"checkpoint={folder}/RUN/checkpoints/best.ckpt", "evaluation=autoattack", "images=6", "pictures=false",
        "evaluation.autoattack.attack.steps=1", "evaluation.autoattack.attack.queries=3", f"paths.run={folder}/RUN_A",
    ]  # fmt: skip
    (folder / "RUN_A").mkdir()
    quietly(evaluate, *composed("evaluate", words))
    for name in ("RUN_B", "RUN_C", "RUN_D"):
        shutil.copytree(folder / "RUN_A", folder / name)


def make_data(folder):
    """Pictures, arrays, X-rays, weights, and a model of one's own."""
    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        for label in ("cat", "dog"):
            for number in range(count):
                pixels = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
                save(folder / "pictures" / part / label / f"{number}.png", pixels)
                if part == "train":
                    save(folder / "more_pictures" / f"{label}_{number}.png", 255 - pixels)
    arrays = {}
    for part, count in (("train", 40), ("test", 8)):
        arrays[f"{part}_images"] = random.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = np.arange(count) % 2
    np.savez(folder / "mine.npz", **arrays)
    for part, count in (("train", 200), ("test", 20)):
        arrays[f"{part}_images"] = random.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = np.arange(count) % 10
    for name in ("cifar10_first_1000.npz", "cifar10_10pct.npz"):
        np.savez(folder / name, **arrays)
    digits = random.integers(0, 256, (64, 8, 8), dtype=np.uint8)
    np.savez(folder / "generated.npz", image=digits, label=np.arange(64) % 10)
    torch.save(resnet18(num_classes=2).state_dict(), folder / "weights.pt")
    for name, make in (("chexpert", chexpert_folder), ("nih", nih_folder)):
        (folder / name).mkdir()
        make(folder / name)

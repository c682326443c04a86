"""AutoAttack of test images: ours, eager and compiled, against torchattacks' own, of the same seed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchattacks
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.ties import ties
from benchmarks.timing import Tick, Times, interleaved
from benchmarks.work import Work
from gat_lightning.attacks import FGSM, ClassifierProblem
from gat_lightning.attacks.autoattack import AutoAttack
from gat_lightning.config.compiling import compiling_pays, work_of_evaluation
from gat_lightning.data import Digits
from gat_lightning.errors import SettingError
from gat_lightning.models import preact_resnet_small
from gat_lightning.models.compiled import FastClassifier
from gat_lightning.models.encoding import check_channels_last

STEPS = 10
"""What torchattacks has; it cannot be chosen there."""
EPOCHS = 3
BATCH, CLASSES = 64, 10


@dataclass(frozen=True)
class Subject:
    """A classifier and the images on which it is attacked.

    Attributes:
        model: in eval mode.
        images: ``[B, C, H, W]`` in [0, 1].
        labels: ``[B]``.
        eps: radius in L-infinity.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor
    eps: float


def digits(work: Work, images: int | None = None) -> Subject:
    """The digits' test images, or the first ones."""
    data = Digits(batch_size=BATCH, seed=work.seed)
    data.setup()
    train, test = (
        (torch.cat([batch.images for batch in batches]), torch.cat([batch.labels["class"] for batch in batches]))
        for batches in (list(data.train_dataloader()), list(data.test_dataloader()))
    )
    return Subject(_trained(*train, 0.15, 8, work.seed), test[0][:images], test[1][:images], 0.15)


def cifar10(work: Work, file: Path, images: int = 200) -> Subject:
    """The first test images of CIFAR-10.

    Args:
        work: its seed.
        file: ``.npz`` with ``train_images`` and ``test_images``, uint8 ``[N, 32, 32, 3]``, and their labels.
        images: how many.
    """
    with np.load(file) as arrays:
        train, test = (
            (
                torch.from_numpy(arrays[f"{split}_images"]).permute(0, 3, 1, 2).contiguous() / 255,
                torch.from_numpy(arrays[f"{split}_labels"]).long(),
            )
            for split in ("train", "test")
        )
    eps = 8 / 255
    return Subject(_trained(*train, eps, 16, work.seed), test[0][:images], test[1][:images], eps)


def _trained(images: Tensor, labels: Tensor, eps: float, width: int, seed: int) -> nn.Module:
    """A small network that withstands some of the attacks: a few epochs on FGSM's images."""
    torch.manual_seed(seed)
    mean, std = images.mean((0, 2, 3)).tolist(), images.std((0, 2, 3)).tolist()
    model = preact_resnet_small(num_classes=CLASSES, image=tuple(images.shape[1:]), mean=mean, std=std, width=width)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            adversarial = FGSM(eps=eps)(ClassifierProblem(model, labels[rows]), images[rows])
            optimizer.zero_grad()
            cross_entropy(model(adversarial), labels[rows]).backward()
            optimizer.step()
    return model.eval()


def _fast(subject: Subject, attack: AutoAttack) -> FastClassifier:
    """The classifier as ``evaluate engine=fast`` runs it."""
    try:
        check_channels_last(subject.model, subject.images.device)
        layout = True
    except SettingError:
        layout = False
    found = FastClassifier(copy.deepcopy(subject.model), layout)
    image = (subject.images.shape[1], subject.images.shape[2], subject.images.shape[3])
    work = work_of_evaluation(found, image, len(subject.images), CLASSES, [attack])
    pays, _ = compiling_pays(work, "cpu", torch.get_num_threads(), bf16=False)
    if pays and (reason := found.try_to_compile(subject.images)) is not None:
        raise AssertionError(reason)
    return found


def compare(subject: Subject, work: Work, rounds: int, tick: Tick) -> tuple[Times, dict[str, float]]:
    """Times of all, without compiling, and the robust accuracy.

    Raises:
        AssertionError: they leave different images standing: eager ours and torchattacks' any, compiled ours one that
            does not part from the eager ones by rounding.
    """
    model, clean, labels = subject.model, subject.images, subject.labels
    attack = AutoAttack(eps=subject.eps, steps=STEPS, seed=work.seed)
    quick = _fast(subject, attack)
    models = {"ours": model, "ours, fast": quick}
    found: dict[str, Tensor] = {}

    def attacked(classifier: nn.Module) -> Tensor:
        return attack(ClassifierProblem(classifier, labels), clean)

    def ours(name: str) -> Callable[[int], None]:
        return lambda _: found.update({name: attacked(models[name])})

    def theirs(_: int) -> None:
        external = torchattacks.AutoAttack(model, eps=subject.eps, n_classes=CLASSES, seed=work.seed, verbose=False)
        found["torchattacks"] = external(clean, labels)

    contestants = {**{name: ours(name) for name in models}, "torchattacks": theirs}
    times = interleaved(contestants, rounds, tick, warmup=0)
    with torch.no_grad():
        robust = {name: models.get(name, model)(images).argmax(1) == labels for name, images in found.items()}
    if not torch.equal(robust["ours"], robust["torchattacks"]):
        raise AssertionError("ours and torchattacks leave different images standing")
    differing = (robust["ours"] != robust["ours, fast"]).nonzero().flatten()
    tied = ties((model, quick), attacked, clean, differing, subject.eps)
    if tied < len(differing):
        raise AssertionError(f"of {len(differing)} images with another outcome where compiled, {tied} part by rounding")
    accuracy = robust["ours"].double().mean().item()
    return times, {
        "images": len(labels), "robust accuracy": accuracy, "ties of rounding": tied, "compiled": quick.is_compiled
    }  # fmt: skip

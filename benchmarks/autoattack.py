"""AutoAttack on the digits' test images: ours against torchattacks' own, of the same seed."""

from __future__ import annotations

import torch
import torchattacks
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.timing import Tick, Times, interleaved
from benchmarks.work import Work
from gat_lightning.attacks import FGSM, ClassifierProblem
from gat_lightning.attacks.autoattack import AutoAttack
from gat_lightning.data import Digits
from gat_lightning.models import preact_resnet_small

EPS = 0.15
STEPS = 10
"""What torchattacks has; it cannot be chosen there."""
EPOCHS = 3


def trained(data: Digits, seed: int) -> nn.Module:
    """A small network that withstands some of the attacks: a few epochs on FGSM's images."""
    torch.manual_seed(seed)
    info = data.info
    model = preact_resnet_small(num_classes=10, image=info.image, mean=info.mean, std=info.std, width=8)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(EPOCHS):
        for batch in data.train_dataloader():
            images, labels = data.augmented(batch, epoch).images, batch.labels["class"]
            images = FGSM(eps=EPS)(ClassifierProblem(model, labels), images)
            optimizer.zero_grad()
            cross_entropy(model(images), labels).backward()
            optimizer.step()
    return model.eval()


def compare(work: Work, rounds: int, tick: Tick, images: int | None = None) -> tuple[Times, dict[str, float]]:
    """Times of both on all test images, or the first ones, and the robust accuracy, which is the same.

    Raises:
        AssertionError: they leave different images standing.
    """
    data = Digits(batch_size=64, seed=work.seed)
    data.setup()
    model = trained(data, work.seed)
    batches = [(batch.images, batch.labels["class"]) for batch in data.test_dataloader()]
    clean, labels = (torch.cat(parts)[:images] for parts in zip(*batches, strict=True))
    found: dict[str, Tensor] = {}

    def ours(_: int) -> None:
        attack = AutoAttack(eps=EPS, steps=STEPS, seed=work.seed)
        found["ours"] = attack(ClassifierProblem(model, labels), clean)

    def theirs(_: int) -> None:
        attack = torchattacks.AutoAttack(model, eps=EPS, n_classes=10, seed=work.seed, verbose=False)
        found["torchattacks"] = attack(clean, labels)

    times = interleaved({"ours": ours, "torchattacks": theirs}, rounds, tick, warmup=0)
    with torch.no_grad():
        robust = {name: model(attacked).argmax(1) == labels for name, attacked in found.items()}
    if not torch.equal(robust["ours"], robust["torchattacks"]):
        raise AssertionError("ours and torchattacks leave different images standing")
    return times, {"images": len(labels), "robust accuracy": robust["ours"].double().mean().item()}

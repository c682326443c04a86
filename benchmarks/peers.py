"""The same step as people would put it together from torchattacks, LibMTL or TorchJD, and plain PyTorch."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torchattacks
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.work import EPS, STEP_SIZE, TASKS, Work, optimizer
from gat_lightning.errors import UserError
from gat_lightning.models import MultiTaskModel


class Classifier(nn.Module):
    """The target's logits, which is what torchattacks wants of a model."""

    def __init__(self, model: MultiTaskModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits; the other decoders do not run."""
        return self.model(x, ["class"])["class"]


class Peer(ABC):
    """PGD of torchattacks, a clean and an adversarial forward, one more forward per task for the curvature.

    Args:
        work: the work.
        curvature: whether there are curvature losses.
    """

    def __init__(self, work: Work, curvature: bool = True) -> None:
        self._work = work
        self._curvature = curvature
        self.model = work.model()
        self.shared = list(self.model.encoder.parameters())
        self.heads = list(self.model.decoders.parameters())
        self._attack = torchattacks.PGD(
            Classifier(self.model).train(), eps=EPS, alpha=STEP_SIZE, steps=work.steps, random_start=work.random_start
        )
        self._optimizer = optimizer(self.model.parameters())

    def step(self, index: int) -> None:
        """One whole training step, optimiser included."""
        self._optimizer.zero_grad()
        self.backward(self.losses(index))
        self._optimizer.step()

    @abstractmethod
    def backward(self, losses: list[Tensor]) -> None:
        """Fill ``.grad`` with MGDA's combination of the losses' gradients."""

    @abstractmethod
    def rows(self, losses: list[Tensor]) -> Tensor:
        """The K gradients of the shared parameters ``[K, P]``, by the peer's own means."""

    def gradients(self, index: int) -> Tensor:
        """The K gradients of the shared parameters ``[K, P]``."""
        return self.rows(self.losses(index))

    def norm(self) -> float:
        """Of the combined gradient of the last step."""
        return float(torch.cat([p.grad.flatten() for p in self.shared if p.grad is not None]).norm())

    def losses(self, index: int) -> list[Tensor]:
        """The 2M task losses, then the M - 1 curvature losses if there are any."""
        batch = self._work.data(index)
        turns = self._work.turns(index)
        x = torch.stack([torch.rot90(image, int(k), (1, 2)) for image, k in zip(batch.images, turns, strict=True)])
        labels = {**batch.labels, "rotation": turns}
        adversarial = self._attack(x, labels["class"])
        clean, attacked = self.model(x), self.model(adversarial)
        losses = [cross_entropy(output[task], labels[task]) for task in TASKS for output in (clean, attacked)]
        if not self._curvature:
            return losses
        gradients = {task: self._input_gradient(x, task, labels[task]) for task in TASKS}
        for position, task in enumerate(TASKS[1:], start=1):
            terms = [curvature(gradients[task], gradients[other]) for other in TASKS[:position]]
            losses.append(torch.stack(terms).sum())
        return losses

    def _input_gradient(self, x: Tensor, task: str, label: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        loss = cross_entropy(self.model(x, [task])[task], label, reduction="sum")
        return torch.autograd.grad(loss, x, create_graph=True)[0].flatten(1)


def curvature(a: Tensor, b: Tensor) -> Tensor:
    """Definition 3.4 of the paper as it is written, mean over the samples."""
    cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    return ((1 - cosine**2) * ((a - b).norm(dim=1) / (a + b).norm(dim=1)) ** 2).mean()


class LibMTLPeer(Peer):
    """LibMTL's MGDA: one ``.backward()`` per loss, each copied into a row."""

    def __init__(self, work: Work, curvature: bool = True) -> None:
        super().__init__(work, curvature)
        peer = self

        class Combined(libmtl_mgda()):  # type: ignore[misc]
            rep_grad = False
            task_num = 3 * len(TASKS) - 1 if curvature else 2 * len(TASKS)
            task_name = TASKS
            device = work.device

            def get_share_params(self) -> Any:
                return peer.model.encoder.parameters()

            def zero_grad_share_params(self) -> None:
                peer.model.encoder.zero_grad(set_to_none=False)

        self._weighting = Combined()

    def backward(self, losses: list[Tensor]) -> None:
        """As LibMTL's trainer calls it."""
        self._weighting.backward(losses, mgda_gn="none")

    def rows(self, losses: list[Tensor]) -> Tensor:
        """What LibMTL's MGDA is given."""
        return self._weighting._get_grads(losses)


class TorchJDPeer(Peer):
    """TorchJD's ``backward`` and MGDA for the shared parameters; the decoders get the gradient of their losses' sum.

    Rows are computed one by one (``parallel_chunk_size=1``), which took as long here as TorchJD's default, all at once,
    and half the memory.
    """

    def __init__(self, work: Work, curvature: bool = True) -> None:
        super().__init__(work, curvature)
        self._jd = _torchjd("torchjd.autojac")
        self._aggregator = _torchjd("torchjd.aggregation").MGDA()

    def backward(self, losses: list[Tensor]) -> None:
        """Jacobians of the shared parameters, their aggregation, then the decoders."""
        self._jacobians(losses)
        self._jd.jac_to_grad(self.shared, self._aggregator)
        torch.stack(losses[: 2 * len(TASKS)]).sum().backward(inputs=self.heads)

    def rows(self, losses: list[Tensor]) -> Tensor:
        """The ``.jac`` fields."""
        self._jacobians(losses)
        parts = [parameter.jac.flatten(1) for parameter in self.shared]  # type: ignore[attr-defined]
        for parameter in self.shared:
            del parameter.jac
        return torch.cat(parts, dim=1)

    def _jacobians(self, losses: list[Tensor]) -> None:
        self._jd.backward(losses, inputs=self.shared, retain_graph=True, parallel_chunk_size=1)


def _torchjd(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise UserError("the benchmarks compare with TorchJD: pip install 'gat-lightning[bench]'") from None


@cache
def libmtl_mgda() -> type:
    """LibMTL's MGDA, from the installed package's own files.

    ``import LibMTL`` fails with today's torchvision, so its ``__init__`` does not run: empty packages with the paths of
    the real ones stand in its place while the module is imported.

    Raises:
        UserError: LibMTL is not installed.
    """
    spec = importlib.util.find_spec("LibMTL")
    if spec is None or spec.origin is None:
        raise UserError("the benchmarks compare with LibMTL: pip install 'gat-lightning[bench]'")
    root = Path(spec.origin).parent
    for name, path in (("LibMTL", root), ("LibMTL.weighting", root / "weighting")):
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    try:
        return importlib.import_module("LibMTL.weighting.MGDA").MGDA
    finally:
        del sys.modules["LibMTL"], sys.modules["LibMTL.weighting"]

"""Whether compiling pays, from counted operations."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from omegaconf import DictConfig
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gat_lightning.attacks import APGDT, FAB, Attack, Ensemble, IterativeAttack, Square
from gat_lightning.attacks.apgd import TARGETS
from gat_lightning.attacks.guard import undisturbed
from gat_lightning.config.length import count_steps
from gat_lightning.methods import Method
from gat_lightning.models import MultiTaskModel

# Of an eager pass, what a compiled one saves.
_SAVED = 0.25
# Cost of a forward and its backward, in forward passes.
_BACKWARD_TOO = 3
# In a step, beside those of the attack: of the clean and of the adversarial images.
_PASSES_OF_A_STEP = 2
# Seconds to compile the passes of a training or an evaluation, for each module of the model without children; and
# floating-point operations in a second, of a thread of a CPU and of a GPU.
_SECONDS_PER_MODULE = 1.5
_SPEED = {"cpu": 7e10, "cuda": 3e13, "mps": 3e12}


@dataclass(frozen=True)
class Work:
    """What there is to compute.

    Attributes:
        operations: floating-point operations of all passes.
        modules: number of modules without children, which the duration of a compilation is proportional to.
    """

    operations: float
    modules: int


def work_of_training(config: DictConfig, model: MultiTaskModel, method: Method, attack: Attack, batches: int) -> Work:
    """The work of a training.

    Args:
        config: of the training.
        model: that trains.
        method: which may have an attack of its own.
        attack: the configured one.
        batches: number of batches in an epoch.
    """
    used = method.attack or attack
    steps = (used.steps if isinstance(used, IterativeAttack) else 1) if method.needs_adversarial else 0
    replayed = count_steps(config, batches, method.replays) * method.replays
    passes = (steps + _PASSES_OF_A_STEP) * replayed * config.data.batch_size
    return Work(passes * _BACKWARD_TOO * operations(model, model.features.image), leaves(model))


def work_of_evaluation(
    model: nn.Module, image: tuple[int, int, int], images: int, outputs: int, attacks: Iterable[Attack]
) -> Work:
    """The work of an evaluation.

    Args:
        model: the classifier.
        image: ``(C, H, W)``.
        images: how many are attacked.
        outputs: of the classifier.
        attacks: each is run on all images.
    """
    passes = sum(_passes(attack, outputs) for attack in attacks)
    return Work(passes * images * operations(model, image), leaves(model))


def _passes(attack: Attack, outputs: int) -> float:
    """Forward passes of each image, where half of the images withstand the first attack of an ensemble."""
    if isinstance(attack, Ensemble):
        first, *others = (_passes(member, outputs) for member in attack.members)
        return first + sum(others) / 2
    if isinstance(attack, Square):
        return attack.queries * attack.restarts
    targeted = isinstance(attack, APGDT) or (isinstance(attack, FAB) and attack.targeted)
    targets = min(TARGETS, max(outputs - 1, 1)) if targeted else 1
    return _BACKWARD_TOO * targets * getattr(attack, "steps", 1) * getattr(attack, "restarts", 1)


def operations(model: nn.Module, image: tuple[int, int, int]) -> int:
    """Floating-point operations of the forward pass of an image ``(C, H, W)``."""
    parameter = next(model.parameters())
    with undisturbed(model), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *image, dtype=parameter.dtype, device=parameter.device))
    return counter.get_total_flops()


def leaves(model: nn.Module) -> int:
    """Number of modules without children."""
    return sum(not any(module.children()) for module in model.modules())


def compiling_pays(work: Work | None, device: str, threads: int) -> tuple[bool, str]:
    """Whether compiled passes save more than their compilation costs, both in operations, and why.

    Args:
        work: None where it is not known: then it does not.
        device: type of the device.
        threads: torch's on a CPU.
    """
    if work is None:
        return False, "the length of the run is not known"
    speed = _SPEED.get(device, _SPEED["cpu"]) * (threads if device == "cpu" else 1)
    saved, cost = _SAVED * work.operations, _SECONDS_PER_MODULE * work.modules * speed
    return saved > cost, f"it saves about {saved:.0e} operations and costs as much as {cost:.0e}"

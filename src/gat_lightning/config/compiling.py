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
# Cost of a pass with the gradient of the images, and with that of the parameters too, in forward passes.
_INPUT_GRADIENT, _ALL_GRADIENTS = 2, 3
# Of a step with parameter gradients: of the clean and of the adversarial images.
_PASSES_OF_A_STEP = 2
# Programs that are compiled: forward and backward of the attack, of the step and of validation; of an attack alone.
_OF_TRAINING, _OF_EVALUATION = 6, 2
# Seconds to compile a program, for each module of the model without children (measured on two cores).
_SECONDS = 0.3
# Floating-point operations in a second, of a thread of a CPU and of a GPU, in float32 and in bf16.
_SPEED = {"cpu": (8e10, 1.2e11), "cuda": (1e13, 3e13), "mps": (3e12, 3e12)}


@dataclass(frozen=True)
class Work:
    """What there is to compute.

    Attributes:
        operations: floating-point operations of all passes.
        modules: number of modules without children, which the duration of a compilation is proportional to.
        programs: how many kinds of passes there are to compile.
    """

    operations: float
    modules: int
    programs: int


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
    passes = _INPUT_GRADIENT * steps + _ALL_GRADIENTS * _PASSES_OF_A_STEP
    images = replayed * config.data.batch_size
    return Work(passes * images * operations(model, model.features.image), leaves(model), _OF_TRAINING)


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
    passes = sum(attack_passes(attack, outputs) for attack in attacks)
    return Work(passes * images * operations(model, image), leaves(model), _OF_EVALUATION)


def attack_passes(attack: Attack, outputs: int) -> float:
    """Forward passes of each image, where half of the images withstand the first attack of an ensemble.

    Args:
        attack: a pass of it with the gradient of the images counts as two.
        outputs: of the classifier.
    """
    if isinstance(attack, Ensemble):
        first, *others = (attack_passes(member, outputs) for member in attack.members)
        return first + sum(others) / 2
    if isinstance(attack, Square):
        return attack.queries * attack.restarts
    targeted = isinstance(attack, APGDT) or (isinstance(attack, FAB) and attack.targeted)
    targets = min(TARGETS, max(outputs - 1, 1)) if targeted else 1
    gradients = getattr(attack, "steps", 1) * getattr(attack, "eot", 1)
    return _INPUT_GRADIENT * targets * gradients * getattr(attack, "restarts", 1)


def operations(model: nn.Module, image: tuple[int, int, int]) -> int:
    """Floating-point operations of the forward pass of an image ``(C, H, W)``."""
    parameter = next(model.parameters(), torch.zeros(0))
    with undisturbed(model), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *image, dtype=parameter.dtype, device=parameter.device))
    return counter.get_total_flops()


def leaves(model: nn.Module) -> int:
    """Number of modules without children."""
    return sum(not any(module.children()) for module in model.modules())


def rough_hours(work: Work, device: str, threads: int) -> float:
    """How long the passes take in float32, as long as nothing is measured; right to about a factor of three.

    Args:
        work: what there is to compute.
        device: type of the device.
        threads: torch's on a CPU.
    """
    speed = _SPEED.get(device, _SPEED["cpu"])[False] * (threads if device == "cpu" else 1)
    return work.operations / speed / 3600


def compiling_pays(work: Work | None, device: str, threads: int, bf16: bool) -> tuple[bool, str]:
    """Whether compiled passes save more than their compilation costs, both in operations, and why.

    Args:
        work: None where it is not known: then it does not.
        device: type of the device.
        threads: torch's on a CPU.
        bf16: whether most passes are in bf16.
    """
    if work is None:
        return False, "the length of the run is not known"
    speed = _SPEED.get(device, _SPEED["cpu"])[bf16] * (threads if device == "cpu" else 1)
    saved, cost = _SAVED * work.operations, _SECONDS * work.programs * work.modules * speed
    return saved > cost, f"it saves about {saved:.0e} operations and costs as much as {cost:.0e}"

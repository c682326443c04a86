"""Passes of a step besides those of its gradient: for adversarial weights, and for weightings that follow losses."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gat_lightning.attacks.guard import unchanged_buffers
from gat_lightning.gradients import GradientEngine
from gat_lightning.methods import Method, WeightPerturbation
from gat_lightning.models.encoding import keep_generators
from gat_lightning.tasks import Views
from gat_lightning.training.passes import Passes
from gat_lightning.weighting import Weighting


def objective_sums(
    passes: Passes, method: Method, parts: Sequence[Views], perturbed: Sequence[Tensor | None]
) -> Iterator[Tensor]:
    """Each part's share of the sum of the method's objectives, which adversarial weights increase.

    One that follows others is in it as if each of them had the weight 1.

    The arguments are those of :func:`losses_now`.
    """
    for part, images in zip(parts, perturbed, strict=True):
        objectives = method.objectives(passes.tasks, *passes.without_curvature(part, images))
        ones = {each.name: 1.0 for each in objectives}
        yield torch.stack([each.coefficient(ones) * each.loss for each in objectives]).sum()


def observe(
    engine: GradientEngine,
    passes: Passes,
    method: Method,
    parts: Sequence[Views],
    perturbed: Sequence[Tensor | None],
    step: int,
) -> None:
    """Tell a weighting that follows the losses what the optimizer's step has made of them; others cost nothing.

    The other arguments are those of :func:`losses_now`.
    """
    if not engine.weighting.needs_gramian:
        engine.observe(losses_now(passes, method, parts, perturbed, step))


def losses_now(
    passes: Passes, method: Method, parts: Sequence[Views], perturbed: Sequence[Tensor | None], step: int
) -> dict[str, Tensor]:
    """Values of the weighed objectives at the present parameters, by name, without a graph.

    The passes are in train mode and leave no trace in the model's buffers and torch's generators. What the model draws
    (dropout) it draws as at the beginning of the batch.

    Args:
        passes: runs the model.
        method: whose objectives they are.
        parts: of the batch.
        perturbed: adversarial images ``[B, C, H, W]`` of each part, those of the step.
        step: number of the step, from 0.

    Returns:
        This process's share of each loss by name, a scalar that is summed over the parts.
    """
    names, totals = [task.name for task in passes.tasks], dict[str, Tensor]()
    with keep_generators(next(passes.model.parameters()).device), unchanged_buffers(passes.model):
        torch.manual_seed(torch.random.initial_seed())
        for part, images in zip(parts, perturbed, strict=True):
            clean, adversarial = passes(part, None if images is None else images.detach(), step)
            objectives = method.objectives(passes.tasks, clean, adversarial)
            values = {each.name: each.loss.detach() for each in objectives if each.weight is None}
            values |= passes.curvature.values(clean, names, step)
            for name, value in values.items():
                totals[name] = totals.get(name, torch.zeros_like(value)) + value
    return totals


def check_second_pass(weighting: Weighting, perturbation: WeightPerturbation) -> None:
    """Called before training.

    Raises:
        ValueError: the losses of a step and those of the second pass would be at differently perturbed weights.
    """
    if not weighting.needs_gramian and perturbation.gamma is not None:
        raise ValueError(
            f"{type(weighting).__name__} compares the losses before and after a step, and adversarial weight"
            " perturbation (awp.gamma) raises those before it: use one of the two."
        )

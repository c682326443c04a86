"""Measures on pairs of task gradients (paper, definitions 3.2 to 3.4) and the curvature objectives made of one (eq. 5).

g_j is the gradient of task j's clean loss with respect to the plain input. All measures are per sample: gradients
``[B, ...]`` are flattened to ``[B, n]`` and a measure returns ``[B]``.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gat_lightning.curvature.finite_difference import LossesAt, displaced
from gat_lightning.curvature.measures import curvature_measure
from gat_lightning.errors import SettingError
from gat_lightning.gradients.objectives import Objective
from gat_lightning.models.encoding import full_precision
from gat_lightning.tasks.forward import ForwardPass
from gat_lightning.validate import check_int, check_option, check_real
from gat_lightning.weighting.objective_names import ObjectiveName

MODES = ("objective", "penalty", "off")
DERIVATIVES = ("exact", "finite_difference")
SCHEMES = ("forward", "central")
DEFAULT_STEP = 0.3
PENALTY = "curvature/penalty"
"""Name of the objective of eq. 5, the sum of all terms."""


def input_gradients(clean: ForwardPass, tasks: Sequence[str], differentiable: bool) -> dict[str, Tensor]:
    """g_j of every task: gradients ``[B, C, H, W]`` of the summed clean loss at the images.

    They are per-sample gradients unless BatchNorm couples the samples.

    Args:
        clean: forward pass on clean images that require a gradient.
        tasks: names.
        differentiable: keep the graph of the gradients themselves, for a double backward.
    """
    return {
        task: torch.autograd.grad(
            clean.losses[task].sum(), clean.images, create_graph=differentiable, retain_graph=True
        )[0]
        for task in tasks
    }


def curvature_losses(clean: ForwardPass, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The regularisation terms of eq. 5: L_j = Σ_{k<j} ξ(g_j, g_k), for every task j after the first.

    ξ is averaged over the samples of the joined batch that have both labels.

    Args:
        clean: the forward pass that the gradients are of.
        gradients: g_j by task, the target's first, see :func:`input_gradients`.

    Returns:
        This part's share of each term by task, a scalar with a graph to the gradients.
    """
    tasks = list(gradients)
    return {task: _term(clean, gradients, task, tasks[:position]) for position, task in enumerate(tasks) if position}


def _term(clean: ForwardPass, gradients: Mapping[str, Tensor], task: str, others: Sequence[str]) -> Tensor:
    term = clean.images.new_zeros(())
    for other in others:
        term = term + clean.joint_mean((task, other), curvature_measure(gradients[task], gradients[other]))
    return term


class Curvature:
    """How the curvature terms enter a step.

    Args:
        mode: ``objective``: M - 1 more objectives ``j/curvature``, weighed with the others (Algorithm 1), under an
            adaptive weighting without gradients for the decoders; ``penalty``: their sum is added with ``coefficient``
            (eq. 5), and the decoders get its gradient too; ``off``: no term (GAT-noReg of Table 11).
        derivative: of a term with respect to the parameters. ``exact``: double backward. ``finite_difference``: see
            :mod:`gat_lightning.curvature.finite_difference`; M(M+1)/2 - 1 more forward and backward passes (M for
            ``penalty``, twice as many with ``scheme="central"``) and no double backward.
        coefficient: λ of ``penalty``.
        step: h of ``finite_difference``, the length of a displacement of an image in L2 and pixels of [0, 1].
        scheme: ``forward`` or ``central`` differences.
        every: number of steps from one with the terms to the next, the first one included. ``penalty`` multiplies λ by
            it (lazy regularisation), so that the terms weigh as much over many steps; ``objective`` leaves the weights
            to the weighting, so that the terms count for less.

    Raises:
        SettingError: an unknown name, a negative coefficient, a step that is not positive, or ``every`` below 1.
    """

    def __init__(
        self,
        mode: str = "objective",
        derivative: str = "exact",
        coefficient: float = 1.0,
        step: float = DEFAULT_STEP,
        scheme: str = "forward",
        every: int = 1,
    ) -> None:
        self.mode = check_option("mode", mode, MODES)
        self.exact = check_option("derivative", derivative, DERIVATIVES) == "exact"
        self.coefficient = check_real("coefficient", coefficient, 0)
        self._step = check_real("step", step, 0, closed="neither", example=DEFAULT_STEP)
        self._central = check_option("scheme", scheme, SCHEMES) == "central"
        self.every = check_int("every", every)

    def enabled(self, tasks: Sequence[str], step: int = 0) -> bool:
        """Whether the step with this number, from 0, has curvature terms on these tasks; whether any has, for 0."""
        return self.mode != "off" and len(tasks) > 1 and step % self.every == 0

    def check(self, tasks: Sequence[str], space: str, solve_every: int = 1) -> None:
        """Called before training.

        Args:
            tasks: names, the target's first.
            space: of the gradients.
            solve_every: number of steps from one solve of the weighting to the next.

        Raises:
            SettingError: a step with the terms would be none that solves the weighting.
            ValueError: the terms cannot be had in this space.
        """
        if self.enabled(tasks) and self.every > 1 and self.every % solve_every:
            right = (
                f"1 or a multiple of engine.solve_every={solve_every}, so that steps with the terms solve the weighting"
            )
            raise SettingError("every", self.every, right)
        if space == "representation" and self.mode == "objective" and self.enabled(tasks):
            raise ValueError(
                "mode=objective needs the engine's space=parameters: a curvature term has no gradient at the decoders'"
                " inputs. Use mode=penalty or mode=off."
            )

    def names(self, tasks: Sequence[str]) -> list[str]:
        """Names of the objectives of these tasks, before any step is made."""
        return [str(ObjectiveName(task, "curvature")) for task in tasks[1:]] if self.mode == "objective" else []

    def __call__(
        self, clean: ForwardPass | None, tasks: Sequence[str], losses_at: LossesAt, step: int = 0
    ) -> list[Objective]:
        """The regularisation losses, computed outside autocast and without TF32.

        Args:
            clean: forward pass on clean images, which require a gradient, or with such a pass ``for_curvature``; None
                where no term is :meth:`enabled`.
            tasks: names, the target's first.
            losses_at: (clean pass, displaced images, task) -> loss of each sample ``[B]``; used by
                ``finite_difference``.
            step: number of the step, from 0.

        Returns:
            ``j/curvature`` for every task j after the first, or one ``curvature/penalty`` with the weight λ (times
            ``every``), whose gradient every parameter gets; none where no term is :meth:`enabled`.
        """
        if clean is None or not self.enabled(tasks, step):
            return []
        clean = clean.for_curvature or clean
        with full_precision(clean.images.device):
            gradients = input_gradients(clean, tasks, self.exact)
            if not self.exact:
                gradients = {task: gradient.requires_grad_() for task, gradient in gradients.items()}
            terms = curvature_losses(clean, gradients)
            if self.mode == "penalty":
                terms = {PENALTY: torch.stack(list(terms.values())).sum()}
            if not self.exact:
                terms = {
                    task: displaced(term, clean, gradients, losses_at, self._step, self._central)
                    for task, term in terms.items()
                }
        if self.mode == "penalty":
            return [Objective(PENALTY, None, terms[PENALTY], weight=self.coefficient * self.every, ieee=True)]
        return [
            Objective(str(ObjectiveName(task, "curvature")), task, term, decoder=False, ieee=True)
            for task, term in terms.items()
        ]

    def values(self, clean: ForwardPass | None, tasks: Sequence[str], step: int = 0) -> dict[str, Tensor]:
        """The objectives' values by name, without a graph; none but with ``mode="objective"``.

        Args:
            clean: as for a call.
            tasks: names, the target's first.
            step: number of the step, from 0.
        """
        if clean is None or self.mode != "objective" or not self.enabled(tasks, step):
            return {}
        clean = clean.for_curvature or clean
        with full_precision(clean.images.device):
            terms = curvature_losses(clean, input_gradients(clean, tasks, differentiable=False))
        return {str(ObjectiveName(task, "curvature")): term.detach() for task, term in terms.items()}

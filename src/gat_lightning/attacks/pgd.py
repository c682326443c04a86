"""PGD: several steps from a random point of the ball."""

import torch
from torch import Tensor
from typing_extensions import Unpack

from gat_lightning.attacks.iterative import AscentSettings, IterativeAttack
from gat_lightning.attacks.norms import STARTS
from gat_lightning.attacks.problem import Problem
from gat_lightning.randomness import BatchGenerator
from gat_lightning.validate import check_int, check_option


class PGD(IterativeAttack):
    """Projected gradient descent on the negative loss, from random starts.

    Madry et al., "Towards deep learning models resistant to adversarial attacks" (ICLR 2018), sections 2.1 and 5. Steps
    in L1 are those of SLIDE (Tramer and Boneh, NeurIPS 2019, section 3).

    Args:
        random_start: ``none`` (the image), ``uniform`` (in the ball's volume) or ``gaussian`` (standard
            deviation 0.001, projected, as in TRADES).
        restarts: number of starts, at least 1. With more than one, each sample keeps the result of highest loss; where
            the problem says which samples are misclassified, as it does wherever attacks are scored, the highest among
            those. Each restart costs one or two more forwards. Of one start the last step counts, also where an
            earlier one had a higher loss.
        **settings: ``norm``, ``eps``, ``step_size`` (``None`` for ``eps / 4``), ``steps``, ``loss``, ``eot``,
            ``targeted`` and ``mode`` of :class:`~gat_lightning.attacks.iterative.IterativeAttack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range, or a name is unknown.
        ValueError: there are several restarts, which would all begin at the image.

    Examples:
        >>> attack = PGD(norm="L2", eps=0.5, steps=20)
        >>> adversarial = attack(ClassifierProblem(model, labels), images)
    """

    def __init__(self, *, random_start: str = "uniform", restarts: int = 1, **settings: Unpack[AscentSettings]) -> None:
        super().__init__(**settings)
        self.random_start = check_option("random_start", random_start, STARTS)
        self.restarts = check_int("restarts", restarts)
        if restarts > 1 and random_start == "none":
            raise ValueError(
                f"restarts={restarts} needs random_start=uniform or gaussian; without it all are the same."
            )

    @property
    def name(self) -> str:
        """``pgd10`` for 10 steps, ``pgd10x5`` for 5 restarts of them."""
        return self._named(f"pgd{self.steps}" + (f"x{self.restarts}" if self.restarts > 1 else ""))

    def ascended(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """The best of all restarts for each sample."""
        best = self._one_start(problem, images, generator)
        if self.restarts == 1:
            return best
        fooled, highest = self._judged(problem, best)
        for _ in range(self.restarts - 1):
            candidate = self._one_start(problem, images, generator)
            success, loss = self._judged(problem, candidate)
            better = (success & ~fooled) | ((success == fooled) & (loss > highest))
            best = torch.where(better[:, None, None, None], candidate, best)
            highest, fooled = torch.where(better, loss, highest), fooled | success
        return best

    @torch.no_grad()
    def _judged(self, problem: Problem, images: Tensor) -> tuple[Tensor, Tensor]:
        """Which images are misclassified, none where the problem does not say, and their loss; ``[B]`` each."""
        loss = self.with_loss(problem).loss(images)
        success = getattr(problem, "success", None)
        return torch.zeros_like(loss, dtype=torch.bool) if success is None else success(images), loss

    def _one_start(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        return self._ascend(problem, images, self._start(problem, images, generator, self.random_start))

    def _default_step_size(self) -> float:
        return self.eps / 4

"""Square: random search with square-shaped perturbations, without gradients."""

from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from gat_lightning.attacks.external import ExternalAttack, ExternalSettings, LogitsModel
from gat_lightning.attacks.losses import margin
from gat_lightning.attacks.norms import L2
from gat_lightning.attacks.problem import ClassifierProblem, LossProblem, Problem, RankingProblem
from gat_lightning.attacks.square_search import LEAST_SIDE, square_search
from gat_lightning.randomness import BatchGenerator
from gat_lightning.validate import check_int


class Square(ExternalAttack):
    """Square attack, by torchattacks: a black-box attack that sees outputs alone.

    Andriushchenko et al., "Square attack: a query-efficient black-box adversarial attack via random search" (ECCV
    2020), algorithms 1 to 3, on the margin of the logits. Where there is no decision between classes (regression, a
    loss function), or images are ranked (:class:`~gat_lightning.attacks.problem.RankingProblem`), it searches for a
    higher loss, or a lower signed logit, and uses all its queries.

    Args:
        queries: largest number of queries per image and restart, at least 1.
        restarts: number of random starts, at least 1.
        **settings: ``norm`` (``Linf`` or ``L2``), ``eps``, ``seed`` and ``mode`` of
            :class:`~gat_lightning.attacks.external.ExternalAttack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1]. In L2 at least 5 pixels
        high and wide.

    Raises:
        SettingError: an argument is out of its range, or the norm is L1.
    """

    label = "square"
    needs_decision = False

    def __init__(self, *, queries: int = 5000, restarts: int = 1, **settings: Unpack[ExternalSettings]) -> None:
        super().__init__(**settings)
        self.queries = check_int("queries", queries)
        self.restarts = check_int("restarts", restarts)

    def build(self, model: nn.Module, problem: ClassifierProblem, images: Tensor, seed: int) -> Any:
        """``torchattacks.Square``, for pictures of any shape."""
        return square_search()(model, **self._settings(seed))

    def check_images(self, channels: int, height: int, width: int) -> None:
        """See that the images are large enough.

        Raises:
            ValueError: in L2 one side has fewer than 5 pixels.
        """
        if isinstance(self.norm, L2) and min(height, width) < LEAST_SIDE:
            raise ValueError(
                f"Square in L2 needs images of at least {LEAST_SIDE}x{LEAST_SIDE} pixels, got {[height, width]}"
            )

    def perturb(self, problem: Problem, images: Tensor, generator: BatchGenerator) -> Tensor:
        """Search for a misclassification, or for a higher loss where there is no decision.

        Raises:
            ValueError: the images are too small for L2.
        """
        self.check_images(*images.shape[1:])
        if isinstance(problem, RankingProblem):
            problem = LossProblem(partial(problem.decision_loss, loss=margin))
        if isinstance(problem, ClassifierProblem):
            return super().perturb(problem, images, generator)
        search = _loss_square()(problem, images, self._settings(self.draw_seed(generator)))
        return self.kept(images, search(images))

    def _settings(self, seed: int) -> dict[str, Any]:
        return {
            "norm": self.norm.name,
            "eps": self.eps,
            "n_queries": self.queries,
            "n_restarts": self.restarts,
            "seed": seed,
        }


@cache
def _loss_square() -> Any:
    """``torchattacks.Square`` that searches for the highest loss of all restarts; no image is ever done."""

    class LossSquare(square_search()):  # type: ignore[misc]
        looks_ahead = False

        def __init__(self, problem: Problem, images: Tensor, settings: dict[str, Any]) -> None:
            super().__init__(LogitsModel(problem.loss, images), **settings)
            self._loss = problem.loss

        @torch.no_grad()
        def __call__(self, images: Tensor) -> Tensor:
            self.init_hyperparam(images)
            torch.manual_seed(self.seed)
            best, highest = images, self._loss(images)
            for _ in range(self.n_restarts):
                _, found = self.attack_single_run(
                    images, torch.zeros(len(images), dtype=torch.long, device=images.device)
                )
                loss = self._loss(found)
                better = loss > highest
                best = torch.where(better[:, None, None, None], found, best)
                highest = torch.where(better, loss, highest)
            return best

        def margin_and_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            """A margin that is never reached, and the value to minimise."""
            loss = self._loss(images).to(images.dtype)
            return torch.ones_like(loss), -loss

    return LossSquare

"""AutoAttack: APGD-CE, APGD-T, FAB-T and Square."""

from __future__ import annotations

from typing import Any

from gat_lightning.attacks.apgd_ce import APGDCE
from gat_lightning.attacks.apgd_t import APGDT
from gat_lightning.attacks.base import Attack
from gat_lightning.attacks.ensemble import Ensemble
from gat_lightning.attacks.fab import FAB
from gat_lightning.attacks.norms import Norm
from gat_lightning.attacks.settings import at_least_one
from gat_lightning.attacks.square import Square


class AutoAttack(Ensemble):
    """AutoAttack, version ``standard``, in the published order.

    Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks"
    (ICML 2020), section 5. Works with two and three classes too, see :class:`APGDT`. With ``steps=10`` and a seed it is
    ``torchattacks.AutoAttack(version="standard")`` of that seed; the published attacks have 100 steps.

    Args:
        norm: ``Linf`` or ``L2``.
        eps: radius of the ball in units of [0, 1] pixels, at least 0; a number or text such as ``8/255``.
        steps: number of steps of APGD-CE, and of APGD-T and FAB-T per target, at least 1.
        queries: largest number of queries per image of Square, at least 1.
        seed: of all four, the same for every batch; ``None`` to draw one from each batch's generator.
        mode: mode of the attacked module during the attack, ``eval`` or ``train``.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        UserError: a setting is out of its range, or the norm is L1.
    """

    def __init__(
        self,
        norm: str | Norm = "Linf",
        eps: float | str = "8/255",
        steps: int = 100,
        queries: int = 5000,
        seed: int | None = None,
        mode: str = "eval",
    ) -> None:
        super().__init__(norm, eps, mode)
        self.steps = at_least_one("steps", steps)
        self.queries = at_least_one("queries", queries)
        self.seed = seed
        assert self.members  # so that they check the settings

    @property
    def name(self) -> str:
        """``autoattack``."""
        return self._named("autoattack")

    @property
    def members(self) -> tuple[Attack, ...]:
        """APGD-CE, APGD-T, FAB-T and Square."""
        shared: dict[str, Any] = {"norm": self.norm, "eps": self.eps, "seed": self.seed, "mode": self.mode}
        return (
            APGDCE(steps=self.steps, **shared),
            APGDT(steps=self.steps, **shared),
            FAB(steps=self.steps, **shared),
            Square(queries=self.queries, **shared),
        )

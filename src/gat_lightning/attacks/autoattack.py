"""AutoAttack: APGD-CE, APGD-T, FAB-T and Square."""

from typing import Any

from typing_extensions import Unpack

from gat_lightning.attacks.apgd import APGDCE, APGDT
from gat_lightning.attacks.base import Attack, AttackSettings
from gat_lightning.attacks.ensemble import Ensemble
from gat_lightning.attacks.fab import FAB
from gat_lightning.attacks.norms import L2, Linf
from gat_lightning.attacks.square import Square
from gat_lightning.validate import check_int


class AutoAttack(Ensemble):
    """AutoAttack, version ``standard``, in the published order.

    Croce and Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks"
    (ICML 2020), section 5. Works with two and three classes too, see :class:`APGDT`. With ``steps=10`` and a seed it is
    ``torchattacks.AutoAttack(version="standard")`` of that seed; the published attacks have 100 steps.

    Args:
        steps: number of steps of APGD-CE, and of APGD-T and FAB-T per target, at least 1.
        queries: largest number of queries per image of Square, at least 1.
        seed: of all four, the same for every batch; ``None`` to draw one from each batch's generator.
        **settings: ``norm`` (``Linf`` or ``L2``), ``eps`` and ``mode`` of :class:`~gat_lightning.attacks.base.Attack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range, or the norm is L1.
    """

    norms = (Linf, L2)

    def __init__(
        self,
        *,
        steps: int = 100,
        queries: int = 5000,
        seed: int | None = None,
        **settings: Unpack[AttackSettings],
    ) -> None:
        super().__init__(**settings)
        self.steps = check_int("steps", steps)
        self.queries = check_int("queries", queries)
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

"""AutoAttack: APGD-CE, APGD-T, FAB-T and Square; for models that draw random numbers APGD-CE and APGD-DLR."""

from typing import Any

from typing_extensions import Unpack

from gat_lightning.attacks.apgd import APGDCE, APGDDLR, APGDT
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
    version = "standard"

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


class AutoAttackRand(Ensemble):
    """AutoAttack, version ``rand``, for models that draw random numbers: each step is along the mean of many gradients.

    Croce and Hein (ICML 2020), section 5, and the authors' code. What an image is classified as is a draw, too, so that
    accuracies vary from run to run.

    Args:
        steps: number of steps of APGD-CE and of APGD-DLR, at least 1.
        eot: number of gradients to average at each step (expectation over transformation), at least 1; 20 as published.
        seed: of both, the same for every batch; ``None`` to draw one from each batch's generator.
        **settings: ``norm`` (``Linf``, ``L2`` or ``L1``), ``eps`` and ``mode`` of
            :class:`~gat_lightning.attacks.base.Attack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range.
    """

    version = "rand"

    def __init__(
        self, *, steps: int = 100, eot: int = 20, seed: int | None = None, **settings: Unpack[AttackSettings]
    ) -> None:
        super().__init__(**settings)
        self.steps = check_int("steps", steps)
        self.eot = check_int("eot", eot)
        self.seed = seed
        assert self.members  # so that they check the settings

    @property
    def name(self) -> str:
        """``autoattack_rand``."""
        return self._named("autoattack_rand")

    @property
    def members(self) -> tuple[Attack, ...]:
        """APGD-CE and APGD-DLR."""
        shared: dict[str, Any] = {"norm": self.norm, "eps": self.eps, "seed": self.seed, "mode": self.mode}
        return tuple(kind(steps=self.steps, eot=self.eot, **shared) for kind in (APGDCE, APGDDLR))

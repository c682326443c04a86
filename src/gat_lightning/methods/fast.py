"""Fast adversarial training: one large step from a random start."""

from gat_lightning.attacks import PGD
from gat_lightning.methods.adversarial import Adversarial
from gat_lightning.validate import check_real


class Fast(Adversarial):
    """One objective ``j/adv`` per task, on images of a single signed step from a uniform start.

    Wong, Rice and Kolter, "Fast is better than free: revisiting adversarial training" (ICLR 2020), Algorithm 3 and
    section 5.1: a step of 1.25 ε, projected; best with ``schedule=cyclic`` and few epochs. Such training can suddenly
    lose all robustness to stronger attacks (catastrophic overfitting, section 5.4), which the guard watches for.

    Args:
        eps: radius of the ball in units of [0, 1] pixels, above 0; a number or text such as ``8/255``.
        norm: ``Linf``, ``L2`` or ``L1``.
        step: length of the step as a multiple of ``eps``, above 0.
        loss: that the step increases: ``None`` for the tasks' own, ``margin`` or ``dlr``.
        mode: of the model under attack, ``eval`` or ``train``.
        guard: stop, and go back to the weights of one validation before, when the accuracy under the validation attack
            falls by more than ``threshold`` from one validation to the next.
        threshold: in (0, 1); 0.2 in the paper's code.

    Raises:
        SettingError: an argument is out of its range, or a name is unknown.
    """

    def __init__(
        self,
        eps: float | str,
        norm: str = "Linf",
        step: float = 1.25,
        loss: str | None = None,
        mode: str = "eval",
        guard: bool = True,
        threshold: float = 0.2,
    ) -> None:
        check_real("step", step, 0, closed="neither", example=1.25)
        check_real("threshold", threshold, 0, 1, closed="neither", example=0.2)
        self.attack = PGD(norm=norm, eps=eps, steps=1, loss=loss, mode=mode)
        self.attack.step_size = step * self.attack.eps
        self.largest_fall = threshold if guard else None

"""BIM: several steps from the image itself."""

from __future__ import annotations

from gat_lightning.attacks.iterative import IterativeAttack


class BIM(IterativeAttack):
    """Basic iterative method: FGSM in several short steps, each followed by a projection.

    Kurakin, Goodfellow and Bengio, "Adversarial examples in the physical world" (ICLR workshop 2017), section 2.2.

    Args:
        norm: ``Linf``, ``L2``, ``L1``, or a :class:`~gat_lightning.attacks.norms.Norm`.
        eps: radius of the ball in units of [0, 1] pixels, at least 0; a number or text such as ``8/255``.
        step_size: length of a step in ``norm``, above 0; ``None`` for ``eps / steps``.
        steps: number of steps, at least 1.
        mode: mode of the attacked module during the attack, ``eval`` or ``train``.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        UserError: a setting is out of its range or a name is unknown.

    Example:
        >>> attack = BIM(eps="8/255", steps=10)
        >>> adversarial = attack(ClassifierProblem(model, labels), images)
    """

    @property
    def name(self) -> str:
        """``bim10`` for 10 steps."""
        return self._named(f"bim{self.steps}")

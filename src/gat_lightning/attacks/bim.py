"""BIM: several steps from the image itself."""

from gat_lightning.attacks.iterative import IterativeAttack


class BIM(IterativeAttack):
    """Basic iterative method: FGSM in several short steps, each followed by a projection.

    Kurakin, Goodfellow and Bengio, "Adversarial examples in the physical world" (ICLR workshop 2017), section 2.2.

    Args:
        step_size: length of a step in ``norm``, above 0; ``None`` for ``eps / steps``.
        steps: number of steps, at least 1.
        **settings: ``loss``, ``eot``, ``targeted``, ``norm``, ``eps`` and ``mode`` of
            :class:`~gat_lightning.attacks.iterative.IterativeAttack`.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] -> adversarial images of the same shape, in [0, 1].

    Raises:
        SettingError: an argument is out of its range, or a name is unknown.

    Examples:
        >>> attack = BIM(eps="8/255", steps=10)
        >>> adversarial = attack(ClassifierProblem(model, labels), images)
    """

    @property
    def name(self) -> str:
        """``bim10`` for 10 steps."""
        return self._named(f"bim{self.steps}")

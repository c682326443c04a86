"""Adversarial training on clean and adversarial images: the outer minimisation of GAT."""

from torch import Tensor

from gat_lightning.methods.paired import Paired
from gat_lightning.tasks import ForwardPass, Task


class Madry(Paired):
    """A clean and an adversarial loss for every task (paper, eq. 4 and appendix A.6).

    Args:
        pairing: ``combined``: one objective ``j/clean+adv`` per task, the mean of both; ``separate``: ``j/clean`` and
            ``j/adv``.

    Raises:
        SettingError: an unknown pairing.
    """

    views = ("clean", "adv")

    def losses(self, task: Task, clean: ForwardPass, adversarial: ForwardPass) -> tuple[Tensor, Tensor]:
        """The mean loss on clean and on adversarial images."""
        return clean.mean_loss(task.name), adversarial.mean_loss(task.name)

    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        """The mean of both."""
        return (first + second) / 2

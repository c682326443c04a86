"""MART: adversarial training with more weight on misclassified images."""

from functools import partial

import torch
from torch import Tensor
from typing_extensions import Unpack

from gat_lightning.attacks import PGD, AscentSettings
from gat_lightning.batch import MISSING
from gat_lightning.methods.paired import Paired
from gat_lightning.tasks import ForwardPass, Task
from gat_lightning.validate import check_real


class Mart(Paired):
    r"""Boosted adversarial loss, and λ times a divergence that grows where the clean image is misclassified.

    Wang et al., "Improving adversarial robustness requires revisiting misclassified examples" (ICLR 2020), eq. 11-14.
    For a task with classes, with p the probabilities of the clean and q those of the adversarial image,

    .. math:: -\log q_y - \log(1 - \max_{k \ne y} q_k) \quad\text{and}\quad
        \lambda \, (1 - p_y) \, KL(p \| q).

    For a task without classes (age, dense ones), to which the paper does not apply, they are the adversarial loss and λ
    times the mean absolute difference between clean and adversarial outputs. λ is *inside* the objective, see
    :class:`~gat_lightning.methods.trades.Trades`. Adversarial images are those of PGD on the cross-entropy.

    Args:
        coefficient: λ, at least 0; 5 in the paper.
        pairing: ``combined``: one objective ``j/bce+kl`` per task, their sum; ``separate``: ``j/bce`` and ``j/kl``.
        **settings: ``norm``, ``eps``, ``step_size``, ``steps``, ``loss`` and ``mode`` of
            :class:`~gat_lightning.attacks.pgd.PGD`.

    Raises:
        SettingError: an argument is out of its range, or a name is unknown.
    """

    views = ("bce", "kl")
    needs_classes = True

    def __init__(
        self, *, coefficient: float = 5.0, pairing: str = "combined", **settings: Unpack[AscentSettings]
    ) -> None:
        super().__init__(pairing)
        self.coefficient = check_real("coefficient", coefficient, 0, example=5)
        self.attack = PGD(**settings)

    def losses(self, task: Task, clean: ForwardPass, adversarial: ForwardPass) -> tuple[Tensor, Tensor]:
        """The boosted loss and the weighted divergence times λ."""
        name = task.name
        before, after = clean.outputs[name], adversarial.outputs[name]
        divergence = task.divergence(before, after)
        p, q = task.log_probabilities(before), task.log_probabilities(after)
        if p is None or q is None:
            return adversarial.mean_loss(name), self.coefficient * adversarial.mean(name, divergence)
        views = adversarial.views
        boosted = adversarial.losses[name] + views.loss(name, partial(_runner_up_loss, q))
        doubt = views.loss(name, partial(_doubt, p))
        return adversarial.mean(name, boosted), self.coefficient * adversarial.mean(name, doubt * divergence)


def _runner_up_loss(log_probabilities: Tensor, label: Tensor) -> Tensor:
    """-log(1 - max_{k≠y} q_k) ``[B]``, as the log-sum of all other classes; 0 without a label."""
    known = label != MISSING
    own = label.clamp(min=0)[:, None]
    runner_up = log_probabilities.detach().scatter(1, own, -torch.inf).argmax(1, keepdim=True)
    others = log_probabilities.scatter(1, runner_up, -torch.inf).logsumexp(1)
    return torch.where(known, -others, 0.0)


def _doubt(log_probabilities: Tensor, label: Tensor) -> Tensor:
    """1 - p_y ``[B]``."""
    return 1 - log_probabilities.gather(1, label.clamp(min=0)[:, None]).squeeze(1).exp()

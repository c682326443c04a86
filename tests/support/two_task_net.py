"""A network with two tasks, and engines on it."""

import torch
from torch import nn

from gat_lightning.gradients import GradientEngine, Objective
from gat_lightning.models import Features

TASKS = {"class": 3, "macro": 2}


class Net(nn.Module):
    """A pooled feature and a stage, which the second decoder taps as well."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 5)
        self.heads = nn.ModuleDict({"class": nn.Linear(5, 3), "macro": nn.Linear(5 + 6, 2)})

    def encode(self, x):
        stage = torch.tanh(self.first(x))
        return Features(torch.tanh(self.second(stage)), (stage,)).tapped()

    def losses(self, features, labels):
        inputs = {"class": features.pooled, "macro": torch.cat([features.pooled, *features.stages], 1)}
        return {
            task: nn.functional.cross_entropy(self.heads[task](inputs[task]), labels[task], reduction="none")
            for task in TASKS
        }

    def objectives(self, x, labels, total):
        """Clean and 'adversarial' losses of both tasks, as shares of a batch of ``total``, and the taps."""
        taps, objectives = [], []
        for view, images in (("clean", x), ("adv", x.flip(1))):
            features = self.encode(images)
            taps += [features.pooled, *features.stages]
            for task, loss in self.losses(features, labels).items():
                objectives.append(Objective(f"{task}/{view}", task, loss.sum() / total))
        return objectives, taps

    @property
    def shared(self):
        return [*self.first.parameters(), *self.second.parameters()]


def net():
    """In float64, the same each time."""
    torch.manual_seed(0)
    return Net().double()


def batch(seed, size=8):
    """Inputs and labels of both tasks."""
    generator = torch.Generator().manual_seed(seed)
    labels = {task: torch.randint(classes, (size,), generator=generator) for task, classes in TASKS.items()}
    return torch.randn(size, 4, dtype=torch.float64, generator=generator), labels


def engine_for(net, weighting, space="parameters", world_size=1, **settings):
    decoders = {task: net.heads[task].parameters() for task in TASKS}
    return GradientEngine(net.shared, decoders, weighting, space=space, world_size=world_size, **settings)

"""One step of training on a toy batch, and the same step written out."""

from functools import partial
from itertools import combinations

import numpy as np
import scipy.linalg
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import ConstantLR
from torch.utils.data import DataLoader

from gat_lightning.attacks import PGD
from gat_lightning.batch import Batch
from gat_lightning.curvature.terms import Curvature
from gat_lightning.gradients.engine import GradientEngine
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.methods import Adversarial
from gat_lightning.models import MultiTaskModel
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import Classification, Macro, Rotation
from gat_lightning.training.module import GATModule
from gat_lightning.training.optimizers import Optimization
from gat_lightning.training.passes import Passes
from gat_lightning.training.validation import Scores
from gat_lightning.weighting import MGDA
from support.trainers import quiet_trainer

EPS, STEPS, LR, SIZE, SEED = 0.1, 3, 0.05, 7, 3
NAMES = ["class", "macro", "rotation"]
INFO = DataInfo(
    "toy", (1, 4, 4), (0.5,), (0.5,), {"class": LabelInfo(("a", "b", "c", "d")), "macro": LabelInfo(("x", "y"))}
)


def classifier():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Softplus(), nn.Flatten(), nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 4))
    return net.double()


def normalised():
    """The same with two BatchNorm layers, one of them of vectors."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Softplus(), nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6),
        nn.Tanh(), nn.Linear(6, 4),
    ).double()  # fmt: skip


def toy_batch(size=SIZE):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(size, 1, 4, 4, dtype=torch.float64, generator=generator)
    labels = {"class": torch.randint(4, (size,), generator=generator)}
    labels["macro"] = labels["class"] // 2
    labels["macro"][2] = -1
    return Batch(images, labels, torch.arange(size), Shard.whole(size))


def constant(optimizer, steps):
    return ConstantLR(optimizer, factor=1.0)


def toy_module(method, curvature, floor, separate, weighting=None, space="parameters", net=None, **settings):
    tasks = [Classification("class"), Macro(), Rotation()]
    for task in tasks:
        task.setup(INFO)
    attack = PGD(eps=EPS, steps=STEPS, random_start="none")
    if isinstance(curvature, str):
        curvature = Curvature(curvature, coefficient=0.7)
    model = MultiTaskModel(net or classifier(), "class", INFO.image, tasks[1:]).double()
    decoders = {task.name: model.decoder_parameters(task.name) for task in tasks}
    engine = {"solve_every": settings.pop("solve_every", 1), "space": space, "world_size": 1}
    run = {name: settings.pop(name) for name in ("micro_batch", "compiled", "channels_last") if name in settings}
    made = GradientEngine(model.shared_parameters(), decoders, weighting or MGDA(floor=floor), **engine)
    recompute = made.keeps_graphs and run.get("micro_batch") is not None
    return GATModule(
        Passes(model, tasks, curvature, needs_clean=method.needs_clean, recompute=recompute, **run),
        method,
        attack,
        made,
        Optimization(partial(torch.optim.SGD, lr=LR, weight_decay=0.01), constant),
        Scores({"pgd": attack}, {"pgd": attack}, settings.pop("validation_images", None)),
        separate_views=separate,
        seed=SEED,
        **settings,
    )


def fit_one_step(module, batch=None, **settings):
    loader = DataLoader([batch or toy_batch()], batch_size=None)
    trainer = quiet_trainer(max_steps=1, **settings)
    trainer.fit(module, loader)
    return trainer


def gradients_after(module, batch=None, **settings):
    """Of every parameter, by name, after one step."""
    fit_one_step(module, batch, **settings)
    return {name: parameter.grad.double() for name, parameter in module.model.named_parameters()}


def largest_difference(first, second):
    """Between tensors of the same names."""
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def minimum_norm(gramian, floor):
    """The QP by enumeration of supports: on each, the equality-constrained minimum by a linear solve."""
    count = len(gramian)
    best, best_value = None, np.inf
    for size in range(count + 1):
        for free in combinations(range(count), size):
            w = floor.copy()
            rest = 1 - floor.sum()
            if size:
                index = np.array(free)
                system = np.zeros((size + 1, size + 1))
                system[:size, :size] = gramian[np.ix_(index, index)]
                system[:size, size] = system[size, :size] = 1
                right = np.append(-(gramian @ floor)[index], rest)
                solution = scipy.linalg.lstsq(system, right)[0][:size]
                if (solution < 0).any():
                    continue
                w[index] += solution
            if abs(w.sum() - 1) > 1e-9:
                continue
            value = w @ gramian @ w
            if value < best_value:
                best, best_value = w, value
    return best


class Reference:
    """Algorithm 2, line by line, on a copy of the model's parameters and without any of the package's step code."""

    def __init__(self, module, separate):
        single = classifier()
        self.trunk, self.heads = nn.Sequential(*list(single)[:-1]), nn.ModuleDict({"class": single[-1]})
        for name in ("macro", "rotation"):
            head = nn.Linear(6, {"macro": 2, "rotation": 4}[name]).double()
            source = list(module.model.decoder_parameters(name))
            head.weight.data.copy_(source[0])
            head.bias.data.copy_(source[1])
            self.heads[name] = head
        batch = toy_batch()
        self.turns = BatchGenerator(Shard.whole(SIZE), SEED, 0, 0, "rotation").integers(4)
        self.labels = batch.labels | {"rotation": self.turns}
        self.separate = separate
        self.x = batch.images if separate else self.turned(batch.images)

    def turned(self, x):
        return torch.stack([torch.rot90(image, int(k), (1, 2)) for image, k in zip(x, self.turns, strict=True)])

    def loss(self, x, task):
        """Per sample."""
        seen = self.turned(x) if self.separate and task == "rotation" else x
        output = self.heads[task](self.trunk(seen))
        label = self.labels[task]
        return torch.where(label >= 0, cross_entropy(output, label.clamp(min=0), reduction="none"), 0.0)

    def mean(self, x, task):
        return self.loss(x, task).sum() / (self.labels[task] >= 0).sum()

    def pgd(self):
        adversarial = self.x.clone()
        for _ in range(STEPS):
            adversarial.requires_grad_()
            gradient = torch.autograd.grad(self.loss(adversarial, "class").sum(), adversarial)[0]
            moved = adversarial.detach() + EPS / 4 * gradient.sign()
            adversarial = (self.x + (moved - self.x).clamp(-EPS, EPS)).clamp(0, 1)
        return adversarial

    def curvature(self, task):
        x = self.x.clone().requires_grad_()
        gradients = [torch.autograd.grad(self.loss(x, t).sum(), x, create_graph=True)[0].flatten(1) for t in NAMES]
        j, total = NAMES.index(task), 0
        for k in range(j):
            a, b = gradients[j], gradients[k]
            both = (self.labels[task] >= 0) & (self.labels[NAMES[k]] >= 0)
            a, b = a[both], b[both]
            cos = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
            measure = (1 - cos**2) * ((a - b).norm(dim=1) / (a + b).norm(dim=1)) ** 2
            total = total + measure.mean()
        return total

    def objectives(self, method, curvature):
        adversarial = self.pgd()
        result = {}
        for task in NAMES:
            clean, adv = self.mean(self.x, task), self.mean(adversarial, task)
            if isinstance(method, Adversarial):
                result[f"{task}/adv"] = adv
            elif method.combined:
                result[f"{task}/clean+adv"] = (clean + adv) / 2
            else:
                result[f"{task}/clean"], result[f"{task}/adv"] = clean, adv
        if curvature == "objective":
            result |= {f"{task}/curvature": self.curvature(task) for task in NAMES[1:]}
        return result

    def gradients(self, method, curvature, floor):
        """Names, weights, and the gradient of every parameter: trunk, then heads in order."""
        trunk = list(self.trunk.parameters())
        objectives = self.objectives(method, curvature)
        rows = {
            name: torch.autograd.grad(value, trunk, retain_graph=True, allow_unused=True)
            for name, value in objectives.items()
        }
        jacobian = torch.stack([torch.cat([g.flatten() for g in row]) for row in rows.values()]).numpy()
        bounds = np.array([(floor or {}).get(name, 0.0) for name in objectives])
        weights = minimum_norm(jacobian @ jacobian.T, bounds)
        combined = weights @ jacobian
        heads = {}
        for task in NAMES:
            own = sum(value for name, value in objectives.items() if name.startswith(task) and "curv" not in name)
            heads[task] = torch.autograd.grad(own, list(self.heads[task].parameters()), retain_graph=True)
        if curvature == "penalty":
            term = 0.7 * sum(self.curvature(task) for task in NAMES[1:])
            penalty = torch.autograd.grad(term, trunk, retain_graph=True)
            combined = combined + torch.cat([g.flatten() for g in penalty]).numpy()
            for task in NAMES:
                extra = torch.autograd.grad(
                    term, list(self.heads[task].parameters()), retain_graph=True, allow_unused=True
                )
                heads[task] = [g if e is None else g + e for g, e in zip(heads[task], extra, strict=True)]
        return list(objectives), weights, combined, heads

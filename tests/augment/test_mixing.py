"""CutMix, mixup and MaxUp: what happens to images and to labels, task by task."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from scipy.stats import beta, kstest
from torch.nn.functional import cross_entropy

from gat_lightning.augment import Augmentation, CutMix, Identity, MaxUp, Mixup, RandomCropFlip
from gat_lightning.batch import Batch
from gat_lightning.curvature.terms import Curvature
from gat_lightning.errors import SettingError
from gat_lightning.methods import Madry
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import Classification, Jigsaw, Macro, Rotation
from gat_lightning.tasks.views import prepare_views
from gat_lightning.weighting import Equal
from support.training_steps import INFO, NAMES, Reference, fit_one_step, toy_batch, toy_module

SIZE = 64


def generators(shard, seed=0):
    return partial(BatchGenerator, shard, seed, 0, 0)


def painted(size=SIZE, side=8):
    """Each image is of one value, i / size, which names it."""
    images = (torch.arange(size) / size).view(-1, 1, 1, 1).expand(-1, 3, side, side).double()
    labels = {"class": torch.arange(size) % 5, "macro": torch.arange(size) % 2}
    return Batch(images, labels, torch.arange(size), Shard.whole(size))


def no_loss(images, labels):
    raise AssertionError("not asked for")


def test_cutmix_pastes_one_rectangle_and_counts_its_area():
    batch = painted()
    mixed = CutMix(Identity()).at_step(batch, generators(batch.shard), no_loss)
    own = torch.arange(SIZE) / SIZE
    pasted = mixed.images[:, 0] != own.view(-1, 1, 1)
    assert pasted.any(2).any(1).sum() > SIZE / 2
    partners = generators(batch.shard)("mixing").permutation()
    for i in (partners != torch.arange(SIZE)).nonzero().flatten().tolist():
        other = mixed.images[i, 0][pasted[i]].unique()
        assert len(other) <= 1
        if len(other):
            partner = round(float(other[0]) * SIZE)
            assert partner == partners[i]
            assert mixed.mixed.labels["class"][i] == partner % 5
            assert mixed.mixed.labels["macro"][i] == partner % 2
            rows, columns = pasted[i].any(1).nonzero().flatten(), pasted[i].any(0).nonzero().flatten()
            assert len(rows) == rows[-1] - rows[0] + 1
            assert pasted[i].sum() == len(rows) * len(columns)
        assert mixed.mixed.share[i] == pytest.approx(1 - float(pasted[i].double().mean()), abs=1e-12)
    assert torch.equal(mixed.labels["class"], batch.labels["class"])


def test_mixup_is_the_weighted_mean_and_every_image_is_a_partner_once():
    batch = painted()
    mixed = Mixup(Identity()).at_step(batch, generators(batch.shard), no_loss)
    share, value = mixed.mixed.share, mixed.images[:, 0, 0, 0]
    own = torch.arange(SIZE) / SIZE
    partner = ((value - share * own) / (1 - share) * SIZE).round().long()
    assert sorted(partner.tolist()) == list(range(SIZE))
    assert torch.equal(mixed.mixed.labels["class"], partner % 5)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_shares_follow_the_beta_distribution(alpha):
    batch = painted(4000, side=1)
    share = Mixup(Identity(), alpha).at_step(batch, generators(batch.shard), no_loss).mixed.share
    assert kstest(share.numpy(), beta(alpha, alpha).cdf).pvalue > 1e-3


def test_with_probability_one_half_half_of_the_images_stay():
    batch = painted(2000)
    mixed = CutMix(Identity(), probability=0.5).at_step(batch, generators(batch.shard), no_loss)
    untouched = (mixed.images == batch.images).flatten(1).all(1)
    assert 0.45 < untouched.double().mean() < 0.6
    with_itself = generators(batch.shard)("mixing").permutation() == torch.arange(2000)
    assert (mixed.mixed.share[untouched & ~with_itself] == 1).all()


@pytest.mark.parametrize("kind", [CutMix, Mixup])
def test_a_missing_label_makes_the_mixtures_label_missing_and_no_other(kind):
    batch = painted()
    batch.labels["class"][::4] = -1
    batch.labels["age"] = torch.where(torch.arange(SIZE) % 3 == 0, float("nan"), 0.5)
    batch.labels["depth"] = torch.rand(SIZE, 1, 8, 8)
    mixed = kind(Identity(), probability=0.7).at_step(batch, generators(batch.shard), no_loss)
    partner = generators(batch.shard)("mixing").permutation()
    alone = mixed.mixed.share == 1
    assert alone.any()
    assert not alone.all()
    known = (batch.labels["class"] >= 0) & (batch.labels["class"][partner] >= 0)
    assert torch.equal(mixed.labels["class"] >= 0, torch.where(alone, batch.labels["class"] >= 0, known))
    known = ~batch.labels["age"].isnan() & ~batch.labels["age"][partner].isnan()
    assert torch.equal(~mixed.labels["age"].isnan(), torch.where(alone, ~batch.labels["age"].isnan(), known))
    assert torch.equal(mixed.labels["depth"].isnan().flatten(1).any(1), ~alone)
    assert torch.equal(mixed.labels["depth"][alone], batch.labels["depth"][alone])


@pytest.mark.parametrize("make", [CutMix, Mixup, partial(MaxUp, copies=3)])
def test_a_part_gets_what_the_whole_gets(make, monkeypatch):
    """Two ranks, the joined batch being put together as `all_reduce` would."""
    batch = painted(10)

    class Noise(Identity):
        def draw(self, samples, generator):
            return torch.rand(samples, 1, generator=generator)

        def __call__(self, images, values):
            return (images + values.view(-1, 1, 1, 1)).clamp(0, 1)

    def loss_of(images, labels):
        return images.mean((1, 2, 3))

    whole = make(Noise()).at_step(batch, generators(batch.shard), loss_of)
    for offset, size in ((0, 7), (7, 3)):
        piece = slice(offset, offset + size)
        shard = Shard(offset, size, 10)
        part = replace(
            batch,
            images=batch.images[piece],
            labels={name: label[piece] for name, label in batch.labels.items()},
            shard=shard,
        )

        def fill(tensor, piece=piece):
            sources = [source for source in (batch.images, *batch.labels.values()) if source.shape == tensor.shape]
            return next(source for source in sources if torch.equal(source[piece], tensor[piece]))

        monkeypatch.setattr("gat_lightning.augment.mixing.sum_over_ranks", fill)
        done = make(Noise()).at_step(part, generators(shard), loss_of)
        torch.testing.assert_close(done.images, whole.images[piece], rtol=0, atol=0)
        if whole.mixed is not None:
            assert torch.equal(done.mixed.share, whole.mixed.share[piece])
            assert torch.equal(done.mixed.labels["macro"], whole.mixed.labels["macro"][piece])


@pytest.mark.parametrize("augment", [Identity(), CutMix(Identity()), Mixup(Identity()), MaxUp(Identity(), 2)])
@pytest.mark.parametrize("others", [[], ["macro"], ["rotation"], ["jigsaw"], ["macro", "rotation", "jigsaw"]])
def test_labels_of_every_task_beside_every_augmentation(augment, others):
    """Table 1: given labels are mixed with the image; labels that tasks make are of the image the network sees."""
    info = replace(INFO, image=(3, 8, 8))
    made = {"macro": Macro, "rotation": Rotation, "jigsaw": Jigsaw}
    tasks = [Classification("class"), *(made[name]() for name in others)]
    for task in tasks:
        task.setup(info)
    batch = painted()
    batch.images = torch.rand(SIZE, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    step = generators(batch.shard)
    mixed = augment.at_step(batch, step, lambda images, labels: images.mean((1, 2, 3)))
    views = prepare_views(mixed, tasks, step, separate=True)
    for name in others:
        if name == "macro":
            assert torch.equal(views.labels["macro"], batch.labels["macro"])
            continue
        task = tasks[1 + others.index(name)]
        label = views.labels[name]
        assert torch.equal(views.of(name, views.images), task.transform(mixed.images, label))
        assert mixed.mixed is None or name not in mixed.mixed.labels
        ones = views.loss(name, lambda chosen, label=label: (chosen == label).double())
        assert (ones == 1).all()
    share = views.loss("class", lambda chosen: (chosen == batch.labels["class"]).double())
    if mixed.mixed is None:
        assert (share == 1).all()
    else:
        same = mixed.mixed.labels["class"] == batch.labels["class"]
        torch.testing.assert_close(share[~same], mixed.mixed.share[~same].double())


def test_a_step_on_mixed_images_mixes_the_losses_of_attack_and_objectives():
    augment = Mixup(Identity())
    module = toy_module(Madry("separate"), Curvature("off"), None, False, Equal(), augment=augment)
    reference = Reference(module, False)
    fit_one_step(module)
    batch = toy_batch()
    mixed = augment.at_step(batch, partial(BatchGenerator, batch.shard, 3, 0, 0), no_loss)
    share, other = mixed.mixed.share, mixed.mixed.labels | {"rotation": reference.turns}
    reference.x = reference.turned(mixed.images)
    own = mixed.labels | {"rotation": reference.turns}

    def loss(x, task):
        output = reference.heads[task](reference.trunk(x))
        first, second = (
            cross_entropy(output, labels[task], reduction="none", ignore_index=-1) for labels in (own, other)
        )
        return share * first + (1 - share) * second

    reference.loss = loss
    reference.labels = own
    adversarial = reference.pgd()
    total = sum(reference.mean(images, task) for images in (reference.x, adversarial) for task in NAMES)
    parameters = [*reference.trunk.parameters(), *(p for task in NAMES for p in reference.heads[task].parameters())]
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(total, parameters)])
    theirs = [*module.model.encoder.parameters(), *(p for task in NAMES for p in module.model.decoder_parameters(task))]
    torch.testing.assert_close(torch.cat([p.grad.flatten() for p in theirs]), expected, rtol=0, atol=1e-10)


class Brighten(Augmentation):
    """Adds what it draws."""

    def draw(self, samples, generator):
        return torch.rand(samples, 1, generator=generator) / 2

    def __call__(self, images, values):
        return images + values.view(-1, 1, 1, 1)


def test_maxup_takes_the_copy_of_the_largest_loss_for_each_image():
    batch = painted()
    batch.images = batch.images / 2
    augment = MaxUp(Brighten(), copies=5)
    step = generators(batch.shard)
    values = torch.stack([step(f"maxup {copy}").rows(Brighten().draw) for copy in range(5)])
    sign = torch.where(torch.arange(SIZE) % 2 == 0, 1.0, -1.0)
    chosen = augment.at_step(batch, step, lambda images, labels: sign * images.mean((1, 2, 3)))
    expected = torch.where(sign > 0, values.amax(0).flatten(), values.amin(0).flatten())
    torch.testing.assert_close((chosen.images - batch.images)[:, 0, 0, 0], expected.double(), rtol=0, atol=1e-6)
    assert chosen.labels == batch.labels


def test_dense_labels_are_of_the_copy_that_maxup_takes():
    batch = painted()
    batch.images = torch.rand(batch.images.shape, dtype=torch.float64)
    batch.labels["depth"] = batch.images[:, :1].clone()
    moved = []

    def loss_of(images, labels):
        moved.append(torch.equal(labels["depth"], images[:, :1]))
        return images[:, 0, 0, 0]

    chosen = MaxUp(RandomCropFlip(2, True), copies=3).at_step(batch, generators(batch.shard), loss_of)
    assert moved == [True] * 3
    assert not torch.equal(chosen.images, batch.images)
    assert torch.equal(chosen.labels["depth"], chosen.images[:, :1])


def test_the_comparison_of_copies_leaves_no_trace_in_the_model():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(12, 4)
    ).double()  # fmt: skip
    states = []
    for augment in (Identity(), MaxUp(Identity(), copies=4)):
        torch.manual_seed(0)
        module = toy_module(Madry("separate"), Curvature("off"), None, False, Equal(), net=net, augment=augment)
        fit_one_step(module)
        states.append(module.model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CutMix(Identity(), alpha=0), "alpha=0"),
        (lambda: Mixup(Identity(), probability=1.5), "probability=1.5"),
        (lambda: MaxUp(Identity(), copies=1), "copies=1"),
    ],
)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(SettingError, match=message):
        make()

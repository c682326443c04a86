"""Validation and test in parts of a batch."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from gat_lightning.attacks import PGD
from gat_lightning.augment import Identity, MaxUp
from gat_lightning.batch import Batch
from gat_lightning.methods import Madry
from gat_lightning.randomness import BatchGenerator, Shard
from support.trainers import quiet_trainer
from support.training_steps import EPS, SEED, fit_one_step, toy_batch, toy_module

LARGEST = 4


def module_for(micro_batch, augment=None):
    module = toy_module(
        Madry(), "off", None, False, micro_batch=micro_batch, validation_images=14, augment=augment or Identity()
    )
    random_start = PGD(eps=EPS, steps=2)
    module.attacks = {"val": {"pgd": random_start}, "test": {"pgd": random_start}}
    return module


def sizes_of_passes(module):
    """How many images went through the first layer at once, for all that follows."""
    sizes = []
    layer = next(part for part in module.model.modules() if isinstance(part, nn.Conv2d))
    layer.register_forward_hook(lambda layer, given, out: sizes.append(len(given[0])))
    return sizes


def batches():
    """Two of nine images: the one whole, the other the rest of the validation images' limit."""
    first, second = toy_batch(9), toy_batch(9)
    return [
        Batch(first.images, first.labels, torch.arange(9), Shard.whole(9)),
        Batch(second.images.flip(0), second.labels, torch.arange(9, 18), Shard.whole(9)),
    ]


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_scores_in_parts_are_those_of_whole_batches(stage):
    scores = []
    for micro_batch in (None, LARGEST):
        module = module_for(micro_batch)
        sizes = sizes_of_passes(module)
        run = getattr(quiet_trainer(inference_mode=False), stage)
        scores.append(run(module, DataLoader(batches(), batch_size=None), verbose=False)[0])
        assert max(sizes) <= (micro_batch or 9)
        assert sum(sizes) == 2 * 18 + 3 * (14 if stage == "validate" else 18)
    assert scores[0] == pytest.approx(scores[1], abs=1e-12)
    assert any("pgd" in name for name in scores[0])


def test_auxiliary_tasks_are_scored_on_clean_images():
    """Macro classes where they are known, rotation on turned images."""
    module = module_for(None)
    scores = quiet_trainer(inference_mode=False).validate(
        module, DataLoader(batches(), batch_size=None), verbose=False
    )[0]
    right = {"macro": [], "rotation": []}
    for number, batch in enumerate(batches()):
        turns = BatchGenerator(batch.shard, SEED, "val", number, "rotation").integers(4)
        turned = torch.stack([image.rot90(int(k), (1, 2)) for image, k in zip(batch.images, turns, strict=True)])
        with torch.no_grad():
            macro = module.model(batch.images)["macro"].argmax(1)
            right["rotation"] += (module.model(turned)["rotation"].argmax(1) == turns).tolist()
        known = batch.labels["macro"] != -1
        right["macro"] += (macro == batch.labels["macro"])[known].tolist()
    assert len(right["macro"]) == 16
    for task, each in right.items():
        assert scores[f"val/clean/{task}/accuracy"] == pytest.approx(sum(each) / len(each))


def test_maxup_looks_at_its_copies_in_parts():
    module = module_for(LARGEST, MaxUp(Identity(), copies=3))
    sizes = sizes_of_passes(module)
    fit_one_step(module, toy_batch(9))
    assert max(sizes) <= LARGEST

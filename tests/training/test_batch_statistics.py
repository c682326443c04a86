"""BatchNorm never sees a single image: such batches are refused before training."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gat_lightning.batch import pieces
from gat_lightning.data.loader import TrainingLoader
from gat_lightning.data.sampler import JointBatchSampler, shard_of
from gat_lightning.errors import UserError
from gat_lightning.methods import Madry
from gat_lightning.training.batch_statistics import check_parts
from support.trainers import quiet_trainer
from support.training_steps import toy_batch, toy_module

IMAGE = (3, 2, 2)


def pooled():
    """Its BatchNorm gets one value per channel of an image; the one before gets four."""
    return nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(3), nn.Linear(3, 2))


def fails(model, sizes, ranks, micro_batch):
    """Whether the model refuses a part of these batches."""
    for size in sizes:
        for rank in range(ranks):
            shard = shard_of(size, rank, ranks)
            for part in pieces(shard.size, micro_batch):
                try:
                    model(torch.randn(shard.size, *IMAGE)[part])
                except ValueError:
                    return True
    return False


@given(
    st.booleans(),
    st.lists(st.integers(4, 40), min_size=1, max_size=3),
    st.integers(1, 4),
    st.sampled_from([None, 1, 2, 3, 4, 5, 16]),
)
def test_batches_are_refused_exactly_where_batch_norm_would_fail(pool, sizes, ranks, micro_batch):
    model = pooled() if pool else nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    if fails(model, sizes, ranks, micro_batch):
        with pytest.raises(UserError, match=f"trainer.devices={ranks} and engine.micro_batch="):
            check_parts(model, IMAGE, sizes, ranks, micro_batch)
    else:
        check_parts(model, IMAGE, sizes, ranks, micro_batch)


@pytest.mark.parametrize(
    ("sizes", "ranks", "micro_batch", "remedy"),
    [
        ([8, 3], 2, None, "batches of 3 images for trainer.devices=2 .*Set another data.batch_size"),
        ([8, 8], 1, 1, "Set engine.micro_batch to 3 or more"),
        ([8, 7], 1, 2, "batches of 7 images .*Set engine.micro_batch to 3 or more"),
    ],
)
def test_the_message_says_what_to_change_and_the_model_is_as_before(sizes, ranks, micro_batch, remedy):
    model = pooled()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UserError, match=remedy):
        check_parts(model, IMAGE, sizes, ranks, micro_batch)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training and not module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("layer", [nn.GroupNorm(1, 3), nn.BatchNorm1d(3).eval()], ids=repr)
def test_models_that_need_no_second_image_are_not_refused(layer):
    check_parts(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), layer, nn.Linear(3, 2)), IMAGE, [3], 2, 1)


class Toy(torch.utils.data.Dataset):
    def __getitems__(self, request):
        positions, shard, _ = request
        batch = toy_batch(8)
        batch = batch[slice(0, len(positions))]
        batch.shard = shard
        return batch


@pytest.mark.parametrize(("samples", "refused"), [(8, False), (7, True)])
def test_a_training_is_refused_before_its_first_step(samples, refused):
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4)
    )
    module = toy_module(Madry("combined"), "off", None, False, net=net.double(), micro_batch=2)
    loader = TrainingLoader(Toy(), JointBatchSampler(samples, 8, seed=0), 0, batches_done=lambda: 0)
    before = [parameter.detach().clone() for parameter in module.model.parameters()]
    trainer = quiet_trainer(max_epochs=1)
    if refused:
        with pytest.raises(UserError, match="batches of 7 images"):
            trainer.fit(module, loader)
        assert all(map(torch.equal, before, module.model.parameters()))
    else:
        trainer.fit(module, loader)
        assert trainer.global_step == 1

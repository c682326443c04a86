from functools import partial

import numpy as np
import pytest
import torch

from gat_lightning.augment import RandomCropFlip
from gat_lightning.batch import Batch
from gat_lightning.data import Arrays
from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import Autoencoder, Classification, Depth, Rotation
from gat_lightning.tasks.views import prepare_views


def written(path, **changes):
    """Images whose depth is their grey level."""
    random = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 40), ("test", 10)):
        images = random.integers(0, 256, (count, 8, 8), dtype=np.uint8)
        images[:, 4, 4], images[:, 3, 3] = 0, 255
        arrays |= {f"{split}_images": images, f"{split}_labels": np.arange(count) % 2, f"{split}_depth": images * 3.0}
    np.savez(path, **{name: array for name, array in (arrays | changes).items() if array is not None})
    return path


def test_depth_maps_stay_with_their_pixels_through_augmentation_and_rotation(tmp_path):
    data = Arrays(path=written(tmp_path / "a.npz"), augment=RandomCropFlip(2, True))
    tasks = [Classification("class"), Depth(None), Rotation()]
    for task in tasks:
        task.setup(data.info)
    data.setup()
    batch = data.augmented(data.split("train").__getitems__(list(range(20))), epoch=1)
    assert torch.equal(batch.labels["depth"], batch.images)
    generators = partial(BatchGenerator, Shard.whole(20))
    views = prepare_views(batch, tasks, generators, separate=False)
    assert not torch.equal(views.images, batch.images)
    torch.testing.assert_close(views.labels["depth"], tasks[1].wanted(views.images, {"depth": views.images}))
    views = prepare_views(batch, tasks, generators, separate=True)
    assert torch.equal(views.images, batch.images)
    torch.testing.assert_close(views.labels["depth"], tasks[1].wanted(batch.images, {"depth": batch.images}))


def test_dense_labels_are_of_the_image_that_the_network_sees_in_any_order():
    images = torch.rand(6, 1, 8, 8)
    tasks = [Autoencoder(), Rotation()]
    for task in tasks:
        task.setup(DataInfo("toy", (1, 8, 8), (0.5,), (0.5,)))
    batch = Batch(images, {}, torch.arange(6), Shard.whole(6))
    views = prepare_views(batch, tasks, lambda purpose: BatchGenerator(batch.shard, purpose), separate=False)
    assert torch.equal(views.labels["autoencoder"], views.images)
    assert not torch.equal(views.images, images)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_depth": None}, "come together"),
        ({"train_depth": np.zeros((40, 4, 4))}, r"it must be numbers \[40, 8, 8\]"),
        ({"train_depth": np.zeros((40, 8, 8), bool)}, "dtype bool"),
    ],
)
def test_depth_maps_that_do_not_fit_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        Arrays(path=written(tmp_path / "a.npz", **changes)).describe()

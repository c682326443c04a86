"""Folders of random pictures, and what a data module makes of them."""

import numpy as np
from PIL import Image

from gat_lightning.data import Images

RNG = np.random.default_rng(0)
SIZE = 8


def pixels(height=SIZE, width=SIZE, channels=3):
    return RNG.integers(0, 256, (height, width, channels)[: 3 if channels > 1 else 2], dtype=np.uint8)


def save(path, picture=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pixels() if picture is None else picture
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path, **options)
    return path


def ready(root, **settings):
    data = Images(root=root, **{"size": SIZE, "val_fraction": 0.2, **settings})
    data.setup()
    return data


def all_of(data, split):
    dataset = data.split(split)
    return dataset.__getitems__(list(range(len(dataset))))


def keys(data, split):
    return [image.mul(255).round().byte().permute(1, 2, 0).numpy().tobytes() for image in all_of(data, split).images]


def files(root, pattern="**/*.png"):
    """``{pixels: path}`` of pictures of the exact size, which must all differ."""
    found = {np.asarray(Image.open(path)).tobytes(): path for path in root.glob(pattern)}
    assert len(found) == len(list(root.glob(pattern)))
    return found

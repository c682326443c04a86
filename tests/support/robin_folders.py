"""Colour pictures in class folders, a few pixels each."""

import numpy as np
from PIL import Image


def fill(root, folders, each):
    """``each`` pictures in every one of the folders, all different."""
    for number, folder in enumerate(folders):
        for image in range(each):
            path = root / folder / f"{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng([number, image]).integers(0, 256, (6, 5, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)

"""Files of additional training images."""

import numpy as np

from gat_lightning.info import DataInfo, LabelInfo

INFO = DataInfo("toy", (3, 5, 4), (0.5,) * 3, (0.25,) * 3, {"class": LabelInfo(("ant", "bee", "cat"))})
PICTURES = np.random.default_rng(5).integers(256, size=(50, 5, 4, 3), dtype=np.uint8)
CLASSES = np.arange(50) % 3

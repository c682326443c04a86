"""Autoencoder: reconstruction of the clean image."""

from torch import Tensor

from gat_lightning.info import DataInfo
from gat_lightning.tasks.dense import DenseTask


class Autoencoder(DenseTask):
    """Reconstruction: the label is the clean image itself, ``[B, C, H, W]`` in [0, 1] (paper, Table 5).

    For an adversarial image the label is still the clean one, so that the task is to take the perturbation out.
    """

    name = "autoencoder"
    labels_read = ()

    def setup(self, data: DataInfo) -> None:
        """Learn the image's shape."""
        self.shape = data.image

    def wanted(self, images: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """The images."""
        return images.detach()

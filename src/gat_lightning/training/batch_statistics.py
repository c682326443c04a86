"""BatchNorm needs more than one value per channel in every pass of a training."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gat_lightning.attacks.guard import undisturbed
from gat_lightning.batch import pieces
from gat_lightning.data.sampler import shard_of
from gat_lightning.errors import UserError


def check_parts(
    model: nn.Module, image: tuple[int, int, int], sizes: Iterable[int], ranks: int, micro_batch: int | None
) -> None:
    """Refuse batches of which a process or a micro-batch gets a single image, if BatchNorm fails on one.

    It fails where the image has one value per channel, such as after global pooling. Synchronised BatchNorm takes the
    statistics of all processes together.

    Args:
        model: in train mode; its forward takes images.
        image: shape ``(C, H, W)`` of an image.
        sizes: of the joined batches.
        ranks: the number of processes.
        micro_batch: most images in a part; None for all of a process at once.

    Raises:
        UserError: there is such a batch; the message says what to change.
    """
    for size in dict.fromkeys(sizes):
        shards = {shard_of(size, rank, ranks).size for rank in range(ranks)}
        parts = {part.stop - part.start for shard in shards for part in pieces(shard, micro_batch)}
        if 1 in parts and _fails_on_one(model, image):
            remedy = "another data.batch_size" if 1 in shards else "engine.micro_batch to 3 or more"
            raise UserError(
                "The model has BatchNorm that fails on a single image, and one part of a batch would have one: there"
                f" are batches of {size} images for trainer.devices={ranks} and engine.micro_batch="
                f"{'null' if micro_batch is None else micro_batch}. Set {remedy}."
            )


def _fails_on_one(model: nn.Module, image: tuple[int, int, int]) -> bool:
    """Whether a layer that takes statistics of a batch gets one value per channel of one image."""
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.training]
    values: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values.append(inputs[0].numel() // inputs[0].shape[1])

    handles = [layer.register_forward_pre_hook(count) for layer in layers if not isinstance(layer, nn.SyncBatchNorm)]
    try:
        with undisturbed(model), torch.no_grad():
            model(next(model.parameters()).new_zeros(1, *image))
    finally:
        for handle in handles:
            handle.remove()
    return 1 in values

"""BatchNorm needs more than one image in every pass of a training."""

from collections.abc import Iterable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from gat_lightning.batch import pieces
from gat_lightning.data.sampler import shard_of
from gat_lightning.errors import UserError


def check_parts(model: nn.Module, sizes: Iterable[int], ranks: int, micro_batch: int | None) -> None:
    """Refuse batches of which a process or a micro-batch gets a single image, if the model has BatchNorm.

    Synchronised BatchNorm takes the statistics of all processes together.

    Args:
        model: in train mode.
        sizes: of the joined batches.
        ranks: the number of processes.
        micro_batch: most images in a part; None for all of a process at once.

    Raises:
        UserError: there is such a batch; the message says what to change.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.training]
    if all(isinstance(layer, nn.SyncBatchNorm) for layer in layers):
        return
    for size in dict.fromkeys(sizes):
        shards = {shard_of(size, rank, ranks).size for rank in range(ranks)}
        parts = {part.stop - part.start for shard in shards for part in pieces(shard, micro_batch)}
        if 1 in parts:
            remedy = "another data.batch_size" if 1 in shards else "engine.micro_batch to 3 or more"
            raise UserError(
                f"The model has BatchNorm, which takes no statistics of a single image, and one part of a batch would"
                f" have one: there are batches of {size} images for trainer.devices={ranks} and engine.micro_batch="
                f"{'null' if micro_batch is None else micro_batch}. Set {remedy}."
            )

"""Settings of torch's compiler, which are those of the whole process."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

_MOST_VERSIONS = 64


@contextmanager
def compiler_settings() -> Iterator[None]:
    """A block with the settings that compiled passes need, when they are compiled and when they run.

    The limit is of versions of a function: with and without a gradient of the images, in train and in eval mode, under
    autocast and not, each in several sizes of a batch, or of several models. A backward may not reuse the memory of
    saved activations, since several backwards go through one pass.
    """
    with (
        torch._dynamo.config.patch(recompile_limit=_MOST_VERSIONS),
        torch._functorch.config.patch(donated_buffer=False),
    ):
        yield


def one_size_at_a_time() -> AbstractContextManager[None]:
    """In the block torch compiles for the size of a batch alone, also if it has compiled for another one before."""
    patched: AbstractContextManager[None] = torch._dynamo.config.patch(automatic_dynamic_shapes=False)
    return patched

"""TF32: products of float32 numbers that a GPU rounds to ten bits of mantissa."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_CUDNN: Any = torch.backends.cudnn
_MKLDNN: Any = torch.backends.mkldnn  # whose products on a CPU have the same setting as those on a GPU
_OPERATIONS: tuple[Any, ...] = (_CUDNN.conv, _CUDNN.rnn, torch.backends.cuda.matmul)


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Let convolutions and matrix products use TF32 in the block, or compute them in IEEE float32.

    The flags are those of the whole process, and a backward pass reads them when it runs. They are put back afterwards.
    """
    if all((operation.fp32_precision == "tf32") == allowed for operation in _OPERATIONS):
        yield
        return
    flags = _flags()
    before = [(operation, operation.fp32_precision) for operation in (*_OPERATIONS, _MKLDNN.matmul)]
    try:
        if flags is not None:
            _set_flags(allowed, "high" if allowed else "highest")
        for operation in _OPERATIONS:
            if (operation.fp32_precision == "tf32") != allowed:
                operation.fp32_precision = "tf32" if allowed else "ieee"
        yield
    finally:
        if flags is not None:
            _set_flags(*flags)
        for operation, precision in before:
            if operation.fp32_precision != precision:
                operation.fp32_precision = precision


def _flags() -> tuple[bool, str] | None:
    """What torch's older interface says of convolutions and products; None where it cannot say what the newer one set.

    The older one is used wherever it can be, since Inductor reads it and fails where the two disagree (PyTorch issue
    166387).
    """
    try:
        return _CUDNN.allow_tf32, torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _set_flags(convolutions: bool, products: str) -> None:
    _CUDNN.allow_tf32 = convolutions
    torch.set_float32_matmul_precision(products)

"""TF32: products of float32 numbers that a GPU rounds to ten bits of mantissa."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_CUDNN: Any = torch.backends.cudnn
_PRODUCTS: Any = torch.backends.cuda.matmul
_OPERATIONS = (_CUDNN.conv, _CUDNN.rnn, _PRODUCTS)


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Let convolutions and matrix products use TF32 in the block, or compute them in IEEE float32.

    The flags are those of the whole process, and a backward pass reads them when it runs. They are put back afterwards.
    """
    word = "tf32" if allowed else "ieee"
    before = [operation.fp32_precision for operation in _OPERATIONS]
    if all((each == "tf32") == allowed for each in before):
        yield
        return
    flags = _flags()
    try:
        if flags is not None:
            _set_flags(allowed, allowed, "")
        for operation in _OPERATIONS:
            if (operation.fp32_precision == "tf32") != allowed:
                operation.fp32_precision = word
        yield
    finally:
        if flags is not None:
            _set_flags(*flags)
        for operation, precision in zip(_OPERATIONS, before, strict=True):
            if (operation.fp32_precision == "tf32") != (precision == "tf32"):
                operation.fp32_precision = precision


def _flags() -> tuple[bool, bool, str] | None:
    """The flags of torch's older interface; None where the newer one has set what it cannot say.

    The older one is used wherever it can be, since Inductor reads it and fails where the two disagree (PyTorch issue
    166387).
    """
    try:
        return _CUDNN.allow_tf32, _PRODUCTS.allow_tf32, torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _set_flags(convolutions: bool, products: bool, precision: str) -> None:
    _CUDNN.allow_tf32 = convolutions
    _PRODUCTS.allow_tf32 = products
    if precision == "medium":  # which the flag alone would make "high"
        torch.set_float32_matmul_precision(precision)

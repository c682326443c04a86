"""Reader of NumPy arrays in untrusted pickles, without executing code."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gat_lightning.errors import UserError

# Kinds of numbers that an array may hold: truth values, integers with and without a sign, floats.
_CODES = "biuf"


class _Dtype:
    """Safe stand-in for ``numpy.dtype``, with which a pickle could read foreign memory."""

    def __init__(self, code: str | bytes, *_: Any) -> None:
        self._code = code.decode("ascii") if isinstance(code, bytes) else code
        self._order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        self._order = order.decode("ascii") if isinstance(order, bytes) else order

    def resolved(self) -> np.dtype[Any]:
        """The real one, of plain numbers only."""
        dtype = np.dtype(self._code)
        if dtype.kind not in _CODES:
            raise pickle.UnpicklingError(f"an array of dtype {dtype}")
        return dtype if self._order == "|" else dtype.newbyteorder(self._order)  # type: ignore[arg-type]


class _Array:
    """Safe stand-in for ``numpy.ndarray``; holds the array, created from its bytes without a copy."""

    content: NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, by_columns, content = state
        self._fill(content, dtype, shape, "F" if by_columns else "C")

    def _fill(self, content: Any, dtype: _Dtype, shape: tuple[int, ...], order: Any) -> _Array:
        self.content = np.frombuffer(content, dtype.resolved()).reshape(shape, order=order)
        return self


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _frombuffer(content: Any, dtype: _Dtype, shape: tuple[int, ...], order: Any) -> _Array:
    return _Array()._fill(content, dtype, shape, order)


def _encode(text: str, encoding: str) -> bytes:
    """Stand-in for the function by which protocol 2 encodes bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _empty() -> bytes:
    """Stand-in for the function by which protocol 2 encodes empty bytes."""
    return b""


# What a pickle of arrays names, and what we call instead: none of its arguments reach NumPy's functions.
_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _empty,
}


class _RefusedError(Exception):
    """The pickle requests a forbidden object."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise _RefusedError(f"{module}.{name}")
        return _ADMITTED[module, name]


def pickled_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a pickled ``{name: array}``, of any protocol, written by Python 2 or 3.

    Only numbers, strings, lists, dictionaries and arrays of numbers are created, so the file cannot run code. The
    arrays are views of the bytes that were read.

    Args:
        path: the file.

    Returns:
        The entries of the dictionary that are arrays or lists of numbers; not writable.

    Raises:
        UserError: the file requests other objects, is damaged, or contains no dictionary.
    """
    try:
        with path.open("rb") as file:
            content = _Reader(file, encoding="bytes").load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError("it holds no dictionary")
        return {_text(key): _array(value) for key, value in content.items() if isinstance(value, (_Array, list))}
    except _RefusedError as error:
        raise UserError(
            f"{path} asks for {error} to be called when it is read: refused, and nothing of it was run. Only pickles of"
            " plain numpy arrays are read; do not trust this file"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged pickle provokes
        what = "damaged, or not a pickled dictionary of numpy arrays"
        raise UserError(f"{path} cannot be read ({what}): {error}") from error


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)


def _array(value: _Array | list[Any]) -> NDArray[Any]:
    return value.content if isinstance(value, _Array) else np.asarray(value)

"""Samples of more than 8 bits: the range that a picture declares, and their conversion to 8 bits."""

import os
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

FULL = 65535
"""Largest value of 16 bits."""

# Numbers of TIFF tags.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MAX_SAMPLE, _SMAX_SAMPLE = 258, 262, 281, 341

_WHITE_IS_ZERO = 0


class Samples(NamedTuple):
    """How the samples of a picture are stored. PIL forgets it when it decodes the picture.

    Attributes:
        wide: whether samples have more than 8 bits.
        declared: the largest value that the file declares for wide samples; ``None`` if it declares none.
        padded: whether the standard demands that samples of fewer bits are scaled up to 16 bits, as PNG's does. Many
            writers of PNG files do not.
        inverted: whether 0 is white, and PIL does not invert the grey levels.
    """

    wide: bool
    declared: int | None = None
    padded: bool = False
    inverted: bool = False


def samples_of(picture: Image.Image, path: str | os.PathLike[str]) -> Samples:
    """Read how the samples are stored.

    The range is declared by the largest value of a PGM file, by the chunk sBIT of a PNG file, and by BitsPerSample
    (unless it is 16 or 32), SMaxSampleValue or MaxSampleValue of a TIFF file.

    Args:
        picture: opened with PIL and not yet decoded.
        path: its file.
    """
    if not _is_grey(picture) and not _is_wide_colour(picture):
        return Samples(False)
    if picture.format == "PPM":  # PIL scales them to 16 bits
        return Samples(True, FULL)
    if picture.format == "PNG":
        bits = _significant_bits(path)
        return Samples(True, 2**bits - 1 if bits else None, padded=True)
    tags = getattr(picture, "tag_v2", {})
    return Samples(True, _tiff_maximum(tags), inverted=_is_grey(picture) and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO)


def eight_bit(picture: Image.Image, samples: Samples) -> Image.Image:
    """Convert wide samples to 8 bits: 0 to the declared largest value, or to 65535, becomes 0 to 255.

    Args:
        picture: decoded.
        samples: how its samples are stored.

    Returns:
        A picture of mode ``L`` for grey levels of more than 8 bits; otherwise ``picture``, as PIL has already reduced
        16-bit colours to their upper 8 bits.

    Raises:
        ValueError: grey levels are floating-point numbers, negative or above the range; or colours declare fewer than
            16 bits and may not fill them.
    """
    if not _is_grey(picture):
        if samples.wide:
            _check_colours(picture, samples.declared)
        return picture
    if picture.mode == "F":
        raise ValueError("its grey levels are floating-point numbers; save them with 8 or 16 bits")
    levels = np.asarray(picture).astype(np.int64)
    largest = FULL if _fills_16_bits(levels, samples) else samples.declared or FULL
    if levels.min() < 0 or levels.max() > largest:
        raise ValueError(f"its grey levels go from {levels.min()} to {levels.max()}, and their range is 0 to {largest}")
    if samples.inverted:
        levels = largest - levels
    return Image.fromarray(((510 * levels + largest) // (2 * largest)).astype(np.uint8))


def _is_grey(picture: Image.Image) -> bool:
    """Whether it has grey levels of more than 8 bits in one channel."""
    return picture.mode.startswith(("I", "F"))


def _is_wide_colour(picture: Image.Image) -> bool:
    return picture.format in ("PNG", "TIFF") and any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ()))


def _significant_bits(path: str | os.PathLike[str]) -> int | None:
    """The most significant bits of a channel, by a PNG file's chunk sBIT; ``None`` without one."""
    with open(path, "rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name == b"sBIT":
                bits = max(file.read(min(length, 4)), default=0)
                return bits if 0 < bits <= 16 else None
            if name == b"IDAT":
                return None
            file.seek(length + 4, os.SEEK_CUR)
    return None


def _tiff_maximum(tags: Mapping[int, Any]) -> int | None:
    bits = int(np.max(tags.get(_BITS_PER_SAMPLE, 16)))
    if bits not in (16, 32):
        return 2**bits - 1
    for tag in (_SMAX_SAMPLE, _MAX_SAMPLE):
        if tag in tags and (largest := int(np.max(tags[tag]))) > 0:
            return largest
    return None


def _fills_16_bits(levels: np.ndarray, samples: Samples) -> bool:
    """Whether samples of fewer significant bits have been scaled up to 16 bits.

    A sample that has not been scaled up is at most the declared maximum. One that has been and is that small is a
    multiple of a power of 2, as its lower bits repeat the upper ones or are 0.
    """
    if not samples.padded or samples.declared is None:
        return False
    step = (FULL + 1) // (samples.declared + 1)
    return bool(levels.max() > samples.declared or not (levels % step).any())


def _check_colours(picture: Image.Image, declared: int | None) -> None:
    if declared is None or declared == FULL:
        return
    brightest = int(np.asarray(picture.convert("RGB")).max())
    if brightest <= declared >> 8:
        raise ValueError(
            f"16-bit colours of {declared.bit_length()} significant bits cannot be read; save 8-bit colours"
        )

"""Decoding of picture files: any format, mode and size that PIL reads, to grey or colour arrays of one size."""

import errno
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from rich.progress import track
from torch import Tensor

from gat_lightning.data.levels import eight_bit, samples_of

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""The formats that are read, whatever the file's ending. PIL would start Ghostscript for PostScript."""

_WEBP_PIXELS = 2**20
# Pixels, and pixels for each byte of the file. A WebP file with more of both is damaged, or of one colour; its decoder
# would take memory for what the header says before it looks at the rest.
_WEBP_DENSITY = 1000

_CHUNK = 32

ABSENT = os.strerror(errno.ENOENT)
"""Why a picture that is not there cannot be read."""

# By format; neither can be part of the pixels' code.
_END_MARKS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}

# Bytes at the end of a file in which its mark is looked for: some cameras write more after it.
_TAIL = 4096


def decode_picture(path: str | os.PathLike[str], size: tuple[int, int], channels: int) -> np.ndarray:
    """Read one picture.

    The picture is rotated by its EXIF orientation, resized (bilinear, antialiased) so that it just covers ``size``, and
    cropped at the centre. A JPEG of more than twice that size is decoded at reduced scale. Transparent parts become
    white, and only the first frame of an animation is read. Grey levels of more than 8 bits are scaled by the range
    that the file declares, or else by 16 bits; see :func:`~gat_lightning.data.levels.samples_of`.

    Args:
        path: the file.
        size: height and width of the result in pixels.
        channels: 1 for grey levels, 3 for RGB.

    Returns:
        Pixels, uint8 ``[H, W, channels]``.

    Raises:
        Exception: any exception of PIL for a file that is damaged, not a picture, or larger than
            ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    height, width = size
    with Image.open(path, formats=FORMATS) as picture:
        if picture.format == "WEBP":
            _check_density(picture, os.path.getsize(path))
        samples = samples_of(picture, path)
        picture.draft(None, (2 * max(size), 2 * max(size)))
        picture.load()
        plain = _opaque(eight_bit(_upright(picture), samples))
        mode = "L" if channels == 1 else "RGB"
        plain = plain if plain.mode == mode else plain.convert(mode)  # which would copy it
        fitted = ImageOps.fit(plain, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(fitted).reshape(height, width, channels)


def _check_density(picture: Image.Image, length: int) -> None:
    pixels = picture.width * picture.height
    if pixels > max(_WEBP_PIXELS, _WEBP_DENSITY * length):
        raise ValueError(f"{length} bytes cannot hold its {picture.width} x {picture.height} pixels")


def _upright(picture: Image.Image) -> Image.Image:
    try:
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) != 1
        return ImageOps.exif_transpose(picture) if turned else picture
    except Exception:  # PIL lets through whatever damaged EXIF data provoke; the picture itself is sound
        return picture


def _opaque(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture
    coloured = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured)


def _reason(path: str, error: Exception) -> str:
    """Reason of an unreadable picture, in one short line."""
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "too many pixels"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture" if os.path.getsize(path) else "empty"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def inspect_picture(path: str | os.PathLike[str]) -> str | None:
    """Reason why a picture is unreadable, in a few words; ``None`` if it seems sound.

    Only the beginning of a file and its end marker are checked. The file is decoded only if its format has no end
    marker, or the marker is missing. Damage in between is not detected.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            mark = _END_MARKS.get(picture.format or "")
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - _TAIL))
            if mark is None or mark not in file.read():
                decode_picture(path, (8, 8), 1)
    except MemoryError:
        raise
    except Exception as error:  # PIL lets through whatever a damaged file provokes in its decoders
        return _reason(os.fspath(path), error)
    return None


def inspect_pictures(paths: Sequence[str], progress: bool = False) -> dict[int, str]:
    """Reasons of the unreadable pictures among ``paths``, by position; see :func:`inspect_picture`."""

    def inspect(chunk: range) -> dict[int, str]:
        reasons = {position: inspect_picture(paths[position]) for position in chunk}
        return {position: reason for position, reason in reasons.items() if reason}

    return _in_threads(inspect, len(paths), "Looking at pictures" if progress else "")


def decode_pictures(
    paths: Sequence[str], size: tuple[int, int], channels: int, progress: bool = False
) -> tuple[Tensor, dict[int, str]]:
    """Read pictures, with PyTorch's number of threads.

    Args:
        paths: the N files.
        size: height and width in pixels.
        channels: 1 or 3.
        progress: whether to show a progress bar.

    Returns:
        Pictures uint8 ``[N, channels, H, W]``, channels last in memory, and the reasons of unreadable pictures by
        position; the pixels of these are undefined.
    """
    pictures = np.empty((len(paths), *size, channels), np.uint8)

    def decode(chunk: range) -> dict[int, str]:
        unreadable = {}
        for position in chunk:
            try:
                pictures[position] = decode_picture(paths[position], size, channels)
            except MemoryError:
                raise
            except Exception as error:  # PIL lets through whatever a damaged file provokes in its decoders
                unreadable[position] = _reason(paths[position], error)
        return unreadable

    unreadable = _in_threads(decode, len(paths), "Reading pictures" if progress else "")
    return torch.from_numpy(pictures).permute(0, 3, 1, 2), unreadable


def _in_threads(work: Callable[[range], dict[int, str]], count: int, title: str) -> dict[int, str]:
    """Results of ``work`` for all ``count`` positions, in chunks; a title shows a progress bar."""
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    found: dict[int, str] = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(torch.get_num_threads()) as pool:
        # Remarks on metadata, thousands of them in some data sets. The one on very large pictures is of another kind.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        for part in track(pool.map(work, chunks), title, len(chunks), disable=not title):
            found |= part
    return found

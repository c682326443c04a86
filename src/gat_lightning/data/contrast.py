"""Checks of the range of grey levels that the pictures of a data set use."""

import logging
from collections.abc import Sequence

import numpy as np
from PIL import Image
from torch import Tensor

from gat_lightning.data.levels import FULL, Samples, samples_of
from gat_lightning.data.pictures import FORMATS
from gat_lightning.errors import UserError

log = logging.getLogger(__name__)

SAMPLE = 50
"""Most pictures that are looked at."""

# A sample of 16-bit pictures that stays below this share of the range has fewer bits.
_UNLIKELY = 1 / 4

# Pictures that use a smaller share of the range have low contrast.
_LOW = 0.1


def check_ranges(paths: Sequence[str], where: str) -> None:
    """Check that pictures of more than 8 bits are scaled by their range.

    Args:
        paths: pictures of the data set in random order; the first 50 are looked at, and only those of more than 8 bits
            are decoded.
        where: name of the data set.

    Raises:
        UserError: all samples of those that declare no range are below a quarter of 16 bits; or the declared largest
            values differ and are not those of whole bits, so that they are the largest values of single pictures.
    """
    wide = [found for path in paths[:SAMPLE] if (found := _wide_samples(path)) is not None]
    declared = sorted({samples.declared for samples, _ in wide if samples.declared is not None})
    if len(declared) > 1 and any(largest & (largest + 1) for largest in declared):
        raise UserError(
            f"{where}: pictures declare different largest values (MaxSampleValue: {', '.join(map(str, declared[:5]))}"
            f"{', ...' if len(declared) > 5 else ''}), by which they would be scaled differently; save all with the"
            " largest value that the camera can give"
        )
    undeclared = [largest for samples, largest in wide if samples.declared is None]
    if undeclared and max(undeclared) < _UNLIKELY * FULL:
        raise UserError(f"{where}: {_undeclared(max(undeclared), len(undeclared))}")


def _undeclared(largest: int, pictures: int) -> str:
    bits = max(1, largest.bit_length())
    full = 2**bits - 1
    return (
        f"16-bit pictures whose largest value is {largest} (of {pictures} looked at) declare no range. Divided by"
        f" 65535, {(largest + 128) // 257 + 1} of 256 grey levels would be left. Declare the range in the files (PNG: a"
        f" chunk sBIT of {bits}; TIFF: MaxSampleValue={full}; or 16 and 65535, if they are meant to be so dark), or"
        f" save 8-bit pictures, of array * (255 / {full})"
    )


def warn_of_low_contrast(images: Tensor, where: str) -> None:
    """Warn if all pictures together use less than a tenth of the grey levels.

    Args:
        images: uint8 ``[N, C, H, W]``; at most 50 of them, evenly spaced, are looked at.
        where: name of the data set.
    """
    sample = images[:: max(1, len(images) // SAMPLE)][:SAMPLE]
    least, largest = int(sample.min()), int(sample.max())
    if largest - least < _LOW * 255:
        log.warning(
            "%s: low contrast: %s pictures looked at have only the grey levels %s to %s of 0 to 255. The radius of an"
            " attack is in units of the whole range: stretch the pictures to it, unless they are meant to be so",
            where,
            len(sample),
            least,
            largest,
        )


def _wide_samples(path: str) -> tuple[Samples, int] | None:
    """How a picture of more than 8 bits is stored, and its largest sample; ``None`` if it is another or unreadable."""
    try:
        with Image.open(path, formats=FORMATS) as picture:
            samples = samples_of(picture, path)
            if not samples.wide or picture.mode == "F":
                return None
            largest = int(np.asarray(picture).max())
            return samples, largest if picture.mode.startswith("I") else largest << 8 | 255
    except MemoryError:
        raise
    except Exception:  # PIL lets through whatever a damaged file provokes; it is reported when all are read
        return None

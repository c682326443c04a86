"""Pictures of more than 8 bits, written by Pillow or, where it cannot, byte by byte."""

import struct
import zlib

import numpy as np
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from support.picture_folders import save

RAMP = np.linspace(0, 1, 64).reshape(8, 8)
MAX_SAMPLE, SMAX_SAMPLE, PHOTOMETRIC = 281, 341, 262


def levels(bits):
    return np.rint(RAMP * (2**bits - 1)).astype(np.uint16)


def png(path, stored, bits=None):
    chunks = PngInfo()
    if bits is not None:
        chunks.add(b"sBIT", bytes([bits] * (1 if stored.ndim == 2 else stored.shape[2])))
    return save(path, stored, pnginfo=chunks)


def tiff(path, stored, **tags):
    directory = ImageFileDirectory_v2()
    for number, value in tags.items():
        directory[int(number)] = value
    return save(path, stored, tiffinfo=directory)


def tag(number, value):
    return {str(number): value}


def packed_tiff(path, stored):
    """Grey levels of 12 bits, two in three bytes, as cameras write them."""
    height, width = stored.shape
    first, second = stored[:, ::2].astype(int), stored[:, 1::2].astype(int)
    strip = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1).astype(np.uint8).tobytes()
    entries = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(strip)}
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", number, 4, 1, value) for number, value in entries.items())
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory + bytes(4))
    return path


def sixteen_bit_colours(path, stored, bits=None):
    """A PNG of 16-bit colours, uint16 ``[H, W, 3]``, which Pillow cannot write."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width, _ = stored.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in stored)
    declared = b"" if bits is None else chunk(b"sBIT", bytes([bits] * 3))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + declared + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


def of_classes(root, write):
    for name in ("ant", "bee"):
        (root / name).mkdir(parents=True)
        for number in range(8):
            write(root / name / f"{number}", np.random.default_rng(number).random((8, 8)))
    return root

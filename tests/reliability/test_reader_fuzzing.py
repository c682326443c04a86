"""Damaged tables, arrays and pictures: a clear error or a right result, no crash, and no memory beyond the file's."""

import io
import random
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from gat_lightning.data import Arrays, CheXpert
from gat_lightning.data.pictures import decode_pictures, inspect_picture
from gat_lightning.data.tables import read_table
from gat_lightning.errors import UserError
from support.damage import damaged
from support.memory import SLACK, peak_of
from support.xray_folders import chexpert_folder

INPUTS, FEW = 1000, 60
MANY = pytest.mark.parametrize("inputs", [FEW, pytest.param(INPUTS, marks=pytest.mark.slow)])

CSV_PARTS = [
    b",",
    b'"',
    b"\n",
    b"\r",
    b"\0",
    b";",
    b"\t",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"nan",
    b"1e999",
    b"-1",
    "ä".encode(),
]
NPY_PARTS = [
    b"'<f8'",
    b"'|O'",
    b"True",
    b"(9999999999, 8, 8)",
    b"(-1, 8)",
    b"()",
    b"\x93NUMPY",
    b"PK\x03\x04",
    b"'|u1'",
]
PICTURE_PARTS = [
    b"\xff\xd9",
    b"\xff\xd8",
    b"IDAT",
    b"IEND",
    b"\xff\xff\xff\xff",
    b"\0\0\0\1",
    b"GIF89a",
    b"%!PS",
    b"II*\0",
]


class Fuzzed:
    """Reads damaged files one after the other, and keeps account of them."""

    def __init__(self, path, read):
        self.path, self.read = path, read
        self.refused = self.most = 0

    def __call__(self, content):
        """One more file; no more than twice its bytes may be in memory at once, and what libraries keep."""
        self.path.write_bytes(content)
        said = []
        peak = peak_of(lambda: said.append(refusal(self.read)))
        assert peak < 2 * len(content) + SLACK, said
        self.refused += said != [None]
        self.most = max(self.most, peak)

    def report(self, what, inputs):
        print(f"{inputs} {what}: {self.refused} refused, at most {self.most / 2**20:.1f} MiB for one")


def refusal(read):
    """The message of a clear error, or None; any other error goes on."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read()
        except UserError as error:
            message = str(error)
        else:
            return None
    assert message.strip()
    assert "\n" not in message
    return message


@MANY
def test_tables(tmp_path, inputs):
    good = chexpert_folder(tmp_path / "good", patients=12)
    content = (good / "train.csv").read_bytes()
    draw = random.Random(0)

    def read():
        records = CheXpert(root=good, size=8, on_error="skip").records
        assert set(records.labels["edema"].tolist()) <= {-1, 0, 1}
        age = records.labels["age"]
        assert (age.isnan() | ((age >= 0) & (age <= 1.2))).all()

    assert refusal(read) is None
    fuzzed = Fuzzed(good / "train.csv", read)
    for _ in range(inputs):
        fuzzed(damaged(content, draw, CSV_PARTS))
    fuzzed.report("tables", inputs)
    assert 0 < fuzzed.refused < inputs


def npz(compressed=False, **changed):
    labels = np.arange(40) % 4
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    arrays = {"train_images": images, "train_labels": labels, "test_images": images[:8], "test_labels": labels[:8]}
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **(arrays | changed))
    return file.getvalue()


def with_damaged_members(content, draw, parts):
    """The archive is sound, what is in it is not."""
    source, file = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    spoilt = draw.choice(source.namelist())
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            member = source.read(name)
            if name == spoilt:
                head = draw.choice([128, len(member)])
                member = damaged(member[:head], draw, parts) + member[head:]
            target.writestr(name, member)
    return file.getvalue()


@MANY
@pytest.mark.parametrize(
    ("compressed", "damage"),
    [(False, damaged), (True, damaged), (False, with_damaged_members)],
    ids=["stored", "compressed", "members"],
)
def test_arrays(tmp_path, inputs, compressed, damage):
    content = npz(compressed)
    path = tmp_path / "own.npz"
    draw = random.Random(0)

    def read():
        splits = Arrays(path=path).load()
        assert splits.train.images.dtype == torch.uint8
        assert len(splits.train.images) == len(splits.train.labels["class"])
        assert splits.train.labels["class"].min() >= 0

    path.write_bytes(content)
    assert refusal(read) is None
    fuzzed = Fuzzed(path, read)
    for _ in range(inputs):
        fuzzed(damage(content, draw, NPY_PARTS))
    fuzzed.report("files of arrays", inputs)
    assert fuzzed.refused


FORMATS = {
    "png": {}, "jpeg": {"quality": 80}, "bmp": {}, "gif": {}, "tiff": {"compression": "tiff_lzw"}, "webp": {},
    "ppm": {},
}  # fmt: skip


@MANY
@pytest.mark.parametrize("kind", FORMATS)
def test_pictures(tmp_path, inputs, kind):
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(file, kind, **FORMATS[kind])
    draw = random.Random(0)
    path = tmp_path / "picture"
    path.write_bytes(file.getvalue())

    def read():
        images, reasons = decode_pictures([str(path)], (8, 8), 3)
        inspect_picture(path)
        assert images.shape == (1, 3, 8, 8)
        if reasons:
            raise UserError(reasons[0])

    assert refusal(read) is None
    fuzzed = Fuzzed(path, read)
    for _ in range(inputs):
        fuzzed(damaged(file.getvalue(), draw, PICTURE_PARTS))
    fuzzed.report(kind, inputs)
    assert fuzzed.refused


def test_a_webp_picture_that_claims_more_than_its_file_can_hold(tmp_path):
    content = io.BytesIO()
    Image.new("RGB", (5000, 4000)).save(content, "webp", lossless=True)
    (tmp_path / "picture").write_bytes(content.getvalue())
    said = []
    assert peak_of(lambda: said.append(inspect_picture(tmp_path / "picture"))) < SLACK
    assert said == [f"{len(content.getvalue())} bytes cannot hold its 5000 x 4000 pixels"]


def lying_npz(shape, stored=640):
    """A file whose training images say that they are of a shape, and have fewer bytes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    source = zipfile.ZipFile(io.BytesIO(npz()))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = header.getvalue() + bytes(stored) if name == "train_images.npy" else source.read(name)
            target.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("shape", [(10**9, 8, 8), (2**40, 2**10, 4), (10**5, 10**4, 3)])
def test_arrays_that_claim_to_be_larger_than_the_file(tmp_path, shape):
    path = tmp_path / "lie.npz"
    path.write_bytes(lying_npz(shape))
    assert "cannot be read" in refusal(lambda: Arrays(path=path).load())


def test_arrays_that_unpack_to_more_than_there_is_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("gat_lightning.data.memory.available_memory", lambda: 1000)
    path = tmp_path / "large.npz"
    path.write_bytes(npz(True, train_images=np.zeros((40, 8, 8), np.uint8)))
    assert "GiB of memory" in refusal(lambda: Arrays(path=path).load())


MEASURE = """
import sys
from pathlib import Path
from gat_lightning.training.callbacks.peak_memory import resident_peak
{prepare}
before = resident_peak()
{read}
print(resident_peak() - before)
"""
CASES = {
    "arrays": ("from gat_lightning.data import Arrays", "content = Arrays(path=sys.argv[1]).load()", 2),
    "table": (
        "from gat_lightning.data.tables import read_table, pandas; pandas()",
        "content = read_table(Path(sys.argv[1]), ['Path'])",
        2,
    ),
    "picture": (
        "from gat_lightning.data.pictures import decode_picture; import PIL.PngImagePlugin",
        "content = decode_picture(sys.argv[1], (64, 64), 3)",
        2,
    ),
}


ROWS = 400_000


def large_file(kind, path):
    draw = np.random.default_rng(0)
    if kind == "arrays":
        labels = np.arange(20_000) % 4
        images = draw.integers(0, 256, (20_000, 64, 64), np.uint8)
        np.savez(path, train_images=images, train_labels=labels, test_images=images[:40], test_labels=labels[:40])
    elif kind == "table":
        cells = enumerate(draw.choice(["1.0", "0.0", "-1.0", ""], (ROWS, 17)))
        rows = (f"train/patient{row:05}/study1/view1_frontal.jpg,Male,{','.join(said)}" for row, said in cells)
        path.write_text("\n".join([",".join(["Path", *map(str, range(18))]), *rows]))
    else:
        Image.fromarray(draw.integers(0, 256, (4000, 5000, 3), np.uint8)).save(path, "PNG", compress_level=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
def test_memory_stays_in_proportion_to_the_file(tmp_path, kind):
    path = tmp_path / f"large.{'npz' if kind == 'arrays' else kind}"
    large_file(kind, path)
    prepare, read, most = CASES[kind]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(prepare=prepare, read=read), path],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    share = int(done.stdout) / path.stat().st_size
    print(f"{kind}: {path.stat().st_size / 2**20:.0f} MiB, {share:.2f} times as much memory")
    assert share < most


@pytest.mark.parametrize("rows", [1, 6, 7])
def test_a_table_is_read_whole(tmp_path, monkeypatch, rows):
    monkeypatch.setattr("gat_lightning.data.tables._ROWS", 3)
    path = tmp_path / "t.csv"
    cells = [(str(row), "even" if row % 2 == 0 else "") for row in range(rows)]
    path.write_text("\n".join(["a,b", *map(",".join, cells), "short"]))
    assert list(read_table(path, ["a", "b"]).itertuples(index=False, name=None)) == [*cells, ("short", "")]

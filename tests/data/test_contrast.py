import numpy as np
import pytest
import torch

from gat_lightning.data.contrast import check_ranges, warn_of_low_contrast
from gat_lightning.errors import UserError
from support.picture_folders import save
from support.wide_pictures import MAX_SAMPLE, levels, png, sixteen_bit_colours, tag, tiff


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.png", lambda path: save(path, levels(10)), "largest value is 1023"),
        ("a.png", lambda path: save(path, levels(14)), "largest value is 16383"),
        ("a.tif", lambda path: save(path, levels(12)), "largest value is 4095"),
        ("a.tif", lambda path: save(path, levels(12).astype(np.int32)), "largest value is 4095"),
        ("a.png", lambda path: sixteen_bit_colours(path, np.stack([levels(12)] * 3, -1)), "largest value is 4095"),
    ],
)
def test_every_kind_of_undeclared_range(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(UserError, match=message):
        check_ranges([str(tmp_path / name)], "pictures")


def test_ranges_that_are_clear(tmp_path):
    paths = [
        save(tmp_path / "full.png", levels(16)),
        save(tmp_path / "also dark.png", levels(12)),
        png(tmp_path / "declared.png", levels(12), 12),
        png(tmp_path / "dark.png", levels(12), 16),
        save(tmp_path / "maximum.pgm", levels(12)),
        save(tmp_path / "eight.png", (levels(8) // 30).astype(np.uint8)),
        tmp_path / "absent.png",
    ]
    check_ranges(list(map(str, paths)), "pictures")
    check_ranges([str(path) for path in paths[2:]], "pictures")


def test_largest_values_of_single_pictures_are_no_range(tmp_path):
    def written(*declared):
        return [str(tiff(tmp_path / f"{full}.tif", levels(8), **tag(MAX_SAMPLE, full))) for full in declared]

    check_ranges(written(1023, 4095), "pictures")
    check_ranges(written(3000), "pictures")
    with pytest.raises(UserError, match=r"different largest values \(MaxSampleValue: 3000, 4095\)"):
        check_ranges(written(4095, 3000), "pictures")


def low_contrast(caplog):
    return [record.message for record in caplog.records if "low contrast" in record.message]


@pytest.mark.parametrize(("largest", "warned"), [(0, True), (1, True), (16, True), (25, True), (26, False)])
@pytest.mark.parametrize("least", [0, 200])
def test_low_contrast_is_said(caplog, largest, warned, least):
    images = torch.randint(0, largest + 1, (200, 1, 4, 4), dtype=torch.uint8) + least
    images[::4, 0, 0, 0], images[::4, 0, 0, 1] = least, least + largest
    warn_of_low_contrast(images, "pictures")
    assert len(low_contrast(caplog)) == warned
    if warned:
        assert f"grey levels {least} to {least + largest} of 0 to 255" in low_contrast(caplog)[0]

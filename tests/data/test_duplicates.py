import numpy as np
import pytest
import torch

from gat_lightning.data import duplicates
from gat_lightning.data.dataset import ArrayDataset
from gat_lightning.data.duplicates import equal_files, equal_images


def by_content(contents):
    """Groups of equal contents, compared one by one."""
    groups = []
    for position, content in enumerate(contents):
        for group in groups:
            if contents[group[0]] == content:
                group.append(position)
                break
        else:
            groups.append([position])
    return sorted(group for group in groups if len(group) > 1)


@pytest.mark.parametrize("length", [0, 1, 100, 2**16, 2**16 + 1, 3 * 2**16])
def test_files_are_equal_if_all_their_bytes_are(tmp_path, length):
    content = np.random.default_rng(length).bytes(length)
    contents = [content, content + b"x", content[:-1], content, content[::-1], content[:-1] + b"\0", content, b"x"]
    contents += [b"\0" + content[1:], content + b"x"]
    paths = []
    for number, written in enumerate(contents):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(written)
    assert sorted(equal_files([str(path) for path in paths])) == by_content(contents)
    assert equal_files([str(tmp_path / "absent"), *map(str, paths[:1]), str(tmp_path / "absent")]) == []


@pytest.mark.parametrize("hashed", [1, 7, 1024])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_images_are_equal_if_all_their_pixels_are(monkeypatch, size, hashed):
    monkeypatch.setattr(duplicates, "_HASHED", hashed)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (100, 1, 2, 2)).astype(np.uint8))
    last = images.contiguous(memory_format=torch.channels_last)
    for stored in (images, last):
        splits = [ArrayDataset(stored, {}, rows) for rows in torch.arange(100).split(size)]
        assert sorted(equal_images(splits)) == by_content([image.tolist() for image in images])

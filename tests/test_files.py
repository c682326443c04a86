"""Atomic writes: readers see the old file or the new one, and no temporary file is left."""

import os
import stat
import threading
from pathlib import Path

import pytest

from gat_lightning.files import atomic_write


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "deep" / "kept.json"
    for content in ("old and rather long", "new"):
        with atomic_write(path) as temporary:
            temporary.write_text(content)
        assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


def interrupt(*_):
    raise KeyboardInterrupt


def write_half(path, moment):
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.write(b"half")
        if moment == "write":
            interrupt()


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, before, moment):
    path = tmp_path / "kept.npz"
    if before is not None:
        path.write_bytes(before)
    if moment != "write":
        monkeypatch.setattr(os if moment == "fsync" else Path, moment, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_half(path, moment)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([] if before is None else [before])


def test_the_temporary_file_has_the_suffix_and_is_hidden(tmp_path):
    path = tmp_path / "model.safetensors"
    with atomic_write(path) as first, atomic_write(path) as second:
        assert first.suffix == second.suffix == path.suffix
        assert first.parent == second.parent == tmp_path
        assert first.name.startswith(".")
        assert first != second
        first.touch()
        second.touch()


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o007])
def test_permissions_are_those_of_a_plain_open(tmp_path, mask):
    before = os.umask(mask)
    try:
        (tmp_path / "plain").write_text("plain")
        with atomic_write(tmp_path / "atomic") as temporary:
            temporary.write_text("atomic")
    finally:
        os.umask(before)
    plain, atomic = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic"))
    assert atomic == plain


def test_readers_see_whole_files_while_several_writers_replace_them(tmp_path):
    path, size = tmp_path / "kept.bin", 100_000
    path.write_bytes(bytes(size))
    done, seen = threading.Event(), set()

    def look():
        while not done.is_set():
            content = path.read_bytes()
            seen.add((len(content), len(set(content))))

    def write(number):
        for _ in range(50):
            with atomic_write(path) as temporary, temporary.open("wb") as file:
                for _ in range(10):
                    file.write(bytes([number]) * (size // 10))

    reader = threading.Thread(target=look)
    writers = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert seen == {(size, 1)}
    assert list(tmp_path.iterdir()) == [path]

from types import SimpleNamespace

import pytest
import torch

from gat_lightning.data import Images
from gat_lightning.data import images as images_module
from gat_lightning.data.memory import available_memory
from gat_lightning.errors import UserError
from support.picture_folders import SIZE, ready


def test_more_pictures_than_memory(two_folders, monkeypatch):
    needed = 26 * 3 * 8 * 8
    monkeypatch.setattr("gat_lightning.data.memory.available_memory", lambda: needed * 5 // 4)
    data = ready(two_folders)
    assert len(data.split("train")) == 16
    monkeypatch.setattr("gat_lightning.data.memory.available_memory", lambda: needed * 5 // 4 - 2)
    with pytest.raises(UserError, match=r"26 pictures of 8x8 pixels would take 0\.0 GiB .* a smaller data\.size"):
        ready(two_folders)
    assert len(ready(two_folders, fraction=0.5).split("train")) == 8
    monkeypatch.setattr("gat_lightning.data.memory.available_memory", lambda: None)
    ready(two_folders)


def test_too_little_memory_is_known_from_info_before_anything_is_read(two_folders, monkeypatch):
    monkeypatch.setattr("gat_lightning.data.memory.available_memory", lambda: 26 * 3 * 8 * 8)
    monkeypatch.setattr(images_module, "decode_pictures", lambda *_: pytest.fail("read"))
    with pytest.raises(UserError, match="26 pictures of 8x8 pixels would take"):
        assert Images(root=two_folders, size=SIZE).info


def test_every_process_needs_the_memory(two_folders, monkeypatch):
    monkeypatch.setattr("gat_lightning.data.memory.available_memory", lambda: 2**33)
    data = Images(root=two_folders, size=11000, val_fraction=0.2)
    data.trainer = SimpleNamespace(global_rank=0, world_size=2, num_devices=2)
    with pytest.raises(UserError, match=r"in 2 processes would take 17\.6 GiB .* 80% of the 8\.0 GiB available"):
        data._read(torch.arange(26))


@pytest.fixture
def machine(tmp_path):
    def make(groups="", **contents):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/meminfo").write_text("MemTotal:  2000 kB\nMemAvailable:    1000 kB\n")
        (tmp_path / "proc/self/cgroup").write_text(groups)
        for name, content in contents.items():
            path = tmp_path / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return make


def test_available_memory_of_the_machine(machine, tmp_path):
    assert available_memory(tmp_path) is None
    assert available_memory(machine("0::/nowhere\n5:cpu:/\n")) == 1000 * 1024


@pytest.mark.parametrize(
    ("groups", "contents", "expected"),
    [
        (
            "0::/job/step\n",
            {"job__memory_dot_max": "9000", "job__memory_dot_current": "8000", "job__memory_dot_stat": "anon 1"},
            1000,
        ),
        (
            "0::/job\n",
            {
                "job__memory_dot_max": "9000",
                "job__memory_dot_current": "8000",
                "job__memory_dot_stat": "inactive_file 500\nactive_file 70",
            },
            1570,
        ),
        (
            "0::/job\n",
            {"job__memory_dot_max": "max", "job__memory_dot_current": "8000", "job__memory_dot_stat": "anon 1"},
            1000 * 1024,
        ),
        (
            "4:cpu,memory:/x\n0::/\n",
            {
                "memory__x__memory_dot_limit_in_bytes": "9000",
                "memory__x__memory_dot_usage_in_bytes": "8000",
                "memory__x__memory_dot_stat": "inactive_file 1\ntotal_inactive_file 200",
            },
            1200,
        ),
    ],
)
def test_available_memory_under_a_limit(machine, groups, contents, expected):
    assert available_memory(machine(groups, **contents)) == expected

"""What is installed and downloaded is what was meant to be."""

import hashlib
import re
import tarfile
from pathlib import Path

import pytest
import torchvision.datasets

from gat_lightning.data.archives import OfficialArchive
from gat_lightning.errors import UserError

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
DOWNLOADS = ("urlopen", "urlretrieve", "requests.", "hub.load", "download_url", "snapshot_download", "hf_hub_download(")


def test_every_locked_version_has_hashes():
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    packages = [entry for entry in entries if not entry.startswith("#")]
    assert len(packages) > 100
    for entry in packages:
        assert re.match(r"[\w.\-\[\]]+==\S+", entry), entry[:100]
        assert re.findall(r"--hash=sha256:[0-9a-f]{64}", entry), entry[:100]
    assert "--require-hashes" in (ROOT / "Makefile").read_text()


def test_downloads_are_in_the_modules_that_security_md_names():
    named = set(re.findall(r"`(src/[\w/]+\.py)`", (ROOT / "SECURITY.md").read_text()))
    found = {str(path.relative_to(ROOT)) for path in SOURCES if any(word in path.read_text() for word in DOWNLOADS)}
    assert found == named


@pytest.fixture
def archive(tmp_path):
    """An archive on this machine, with its own sum."""
    folder = tmp_path / "source" / "official"
    folder.mkdir(parents=True)
    (folder / "data.bin").write_bytes(b"data")
    with tarfile.open(tmp_path / "official.tar.gz", "w:gz") as file:
        file.add(folder, "official")

    class Source:
        base_folder, filename = "official", "official.tar.gz"
        url = (tmp_path / "official.tar.gz").as_uri()
        tgz_md5 = hashlib.md5((tmp_path / "official.tar.gz").read_bytes(), usedforsecurity=False).hexdigest()

    return OfficialArchive("Official", Source, "its page", "1 kB", tmp_path / "root")


def test_a_download_with_the_right_sum(archive):
    archive.prepare(["data.bin"], True)
    assert bytes(archive.content("data.bin", hashlib.md5(b"data", usedforsecurity=False).hexdigest())) == b"data"


def test_a_download_with_another_sum_is_not_unpacked(archive):
    archive.source.tgz_md5 = "0" * 32
    with pytest.raises(UserError, match="is damaged or not the official file"):
        archive.prepare(["data.bin"], True)
    assert not archive.folder.exists()


def test_torchvisions_sums_are_there():
    for source in (torchvision.datasets.CIFAR10, torchvision.datasets.STL10):
        assert re.fullmatch(r"[0-9a-f]{32}", source.tgz_md5)
        assert all(re.fullmatch(r"[0-9a-f]{32}", entry[1]) for entry in [*source.train_list, *source.test_list])

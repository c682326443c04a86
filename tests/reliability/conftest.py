import shutil
import subprocess

import pytest

from support.processes import STARTED


@pytest.fixture(autouse=True)
def no_process_left():
    """Ends what a failed test left behind."""
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        (process.wait if isinstance(process, subprocess.Popen) else process.join)()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    mounted = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)

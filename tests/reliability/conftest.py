import subprocess

import pytest
from commands import STARTED


@pytest.fixture(autouse=True)
def no_process_left():
    """Ends what a failed test left behind."""
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        (process.wait if isinstance(process, subprocess.Popen) else process.join)()

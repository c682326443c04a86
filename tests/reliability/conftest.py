import subprocess
import sys
from pathlib import Path

import pytest
from commands import STARTED

sys.path.append(str(Path(__file__).parents[1] / "data"))  # for its folders of pictures


@pytest.fixture(autouse=True)
def no_process_left():
    """Ends what a failed test left behind."""
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        (process.wait if isinstance(process, subprocess.Popen) else process.join)()

import gc
import os
import socket
import sys
from pathlib import Path

import hypothesis
import pytest

pytest.register_assert_rewrite("support")

TESTS = Path(__file__).parent

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["OMP_NUM_THREADS"] = "1"  # tiny models: more threads than one only wait for each other
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("default")


def pytest_collection_modifyitems(items):
    """The parts of ``make test-all`` that a place tells."""
    for item in items:
        for part in ("paper", "reliability"):
            if item.path.relative_to(TESTS).parts[0] == part:
                item.add_marker(part)


def pytest_collection_finish():
    """Keep what the test modules imported out of all garbage collections, which took 4 % of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_command_before():
    """Forget the command that another test has run in this process."""
    if "hydra" in sys.modules:
        from hydra.core.hydra_config import HydraConfig

        HydraConfig.instance().cfg = None


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory):
    """Directory and result of a whole run of two short epochs."""
    from support.training_runs import CURVES, trained

    directory = tmp_path_factory.mktemp("runs") / "quickstart"
    return directory, trained(directory, CURVES)


@pytest.fixture
def undrawn(monkeypatch):
    """Leaves out the picture at the end of a run."""
    from support.training_runs import leave_out_picture

    leave_out_picture(monkeypatch)


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

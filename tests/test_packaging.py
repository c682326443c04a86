"""A wheel, installed elsewhere, works without the repository."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from test_train import TINY

REPOSITORY = Path(__file__).parents[1]


def run(*command, cwd, **environment):
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("wheel")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(directory), str(REPOSITORY), cwd=directory)
    (wheel,) = directory.glob("*.whl")
    run("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(directory / "site"), str(wheel), cwd=directory)
    return directory / "site"


@pytest.mark.slow
def test_an_installed_wheel_trains_outside_the_repository(site, tmp_path):
    where = run("-c", "import gat_lightning; print(gat_lightning.__file__)", cwd=tmp_path, PYTHONPATH=str(site))
    assert where.startswith(str(site))
    run(
        "-m", "gat_lightning.train", "experiment=quickstart", *TINY, "trainer.max_epochs=1", cwd=tmp_path,
        PYTHONPATH=str(site), OMP_NUM_THREADS="1",
    )  # fmt: skip
    (result,) = tmp_path.glob("outputs/quickstart-*/result.json")
    content = json.loads(result.read_text())
    assert content["status"] == "finished"
    assert content["git"] is None


@pytest.mark.slow
def test_the_wheel_says_that_it_is_typed_and_licensed(site):
    assert (site / "gat_lightning" / "py.typed").is_file()
    assert list(site.glob("gat_lightning-*.dist-info/licenses/LICENSE"))

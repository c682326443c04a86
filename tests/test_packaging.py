"""A wheel, installed elsewhere, works without the repository."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from readme_renderer import markdown

import gat_lightning
from support.training_runs import TINY

REPOSITORY = Path(__file__).parents[1]


def run(*command, cwd, **environment):
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The archive of sources, and the wheel made of what is in it."""
    directory = tmp_path_factory.mktemp("dist")
    run("-m", "build", "--no-isolation", "--outdir", str(directory), str(REPOSITORY), cwd=directory)
    (sources,), (wheel,) = directory.glob("*.tar.gz"), directory.glob("*.whl")
    return sources, wheel


@pytest.fixture(scope="module")
def site(distributions, tmp_path_factory):
    directory, (_, wheel) = tmp_path_factory.mktemp("wheel"), distributions
    run("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(directory / "site"), str(wheel), cwd=directory)
    return directory / "site"


def test_the_version_is_that_of_the_newest_entry_of_the_changelog():
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\]", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[1] == gat_lightning.__version__


@pytest.mark.slow
def test_both_distributions_pass_twine(distributions):
    said = run("-m", "twine", "check", "--strict", *map(str, distributions), cwd=distributions[0].parent)
    assert said.count("PASSED") == 2
    for path in distributions:
        assert path.name.startswith(f"gat_lightning-{gat_lightning.__version__}")


@pytest.mark.slow
def test_the_wheel_has_every_configuration_file_and_the_sources_everything_that_they_are_built_and_tested_with(
    distributions,
):
    with zipfile.ZipFile(distributions[1]) as wheel:
        names = set(wheel.namelist())
    for path in (REPOSITORY / "conf").rglob("*.yaml"):
        assert f"gat_lightning/conf/{path.relative_to(REPOSITORY / 'conf')}" in names
    assert "hydra_plugins/gat_lightning_plus.py" in names
    with tarfile.open(distributions[0]) as sources:
        names = {name.partition("/")[2] for name in sources.getnames()}
    assert names >= {
        "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "mkdocs.yml", "conf/train.yaml",
        "docs/index.md", "docs/hooks/site_hooks.py", "tests/test_packaging.py",
    }  # fmt: skip


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


def test_links_and_pictures_of_the_readme_are_whole_on_pypi():
    builder = SdistBuilder(str(REPOSITORY))
    page = markdown.render(builder.metadata.core.readme)
    targets = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert any(target.endswith(".png") for target in targets)
    assert not [target for target in targets if not target.startswith(("https://", "#"))]
    ours = [target.partition("/main/")[2].partition("#")[0] for target in targets if "/main/" in target]
    assert [path for path in ours if not (REPOSITORY / path).exists()] == []

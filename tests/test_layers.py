"""The plan of the sources: few names at the top, short functions, and imports that go down the layers only."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "gat_lightning"
SETTINGS = ROOT / "pyproject.toml"
LONGEST_FUNCTION = 50


def contracts():
    return tomllib.loads(SETTINGS.read_text())["tool"]["importlinter"]["contracts"]


@pytest.fixture
def checkout(tmp_path):
    """A copy of the sources with the settings of import-linter."""
    pytest.importorskip("importlinter")
    shutil.copytree(PACKAGE, tmp_path / "src" / "gat_lightning", ignore=shutil.ignore_patterns("__pycache__", "*.yaml"))
    shutil.copy(SETTINGS, tmp_path)
    return tmp_path


def lint(checkout):
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def lines_of(function):
    """Lines from the first to the last statement, without the docstring."""
    first = function.body[ast.get_docstring(function) is not None :][:1] or function.body
    return function.end_lineno - first[0].lineno + 1


def test_no_function_is_longer_than_a_screen():
    long = {
        f"{path.relative_to(ROOT)}::{node.name}": lines_of(node)
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > LONGEST_FUNCTION
    }
    assert long == {}


def test_few_names_at_the_top():
    packages = [path for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()]
    assert len(packages) <= 20
    assert len(list(PACKAGE.glob("*.py"))) <= 16


def test_the_layers_hold_without_exceptions():
    (layers,) = contracts()
    assert layers["type"] == "layers"
    assert layers["exhaustive"]
    assert layers["ignore_imports"] == ["gat_lightning.data.__main__ -> gat_lightning.commands.statistics"]


def test_the_sources_pass_and_a_planted_upward_import_fails(checkout):
    assert lint(checkout)[0] == 0
    with (checkout / "src" / "gat_lightning" / "weighting" / "mgda.py").open("a") as file:
        file.write("\n\ndef planted() -> None:\n    from gat_lightning.training import module\n")
    status, said = lint(checkout)
    assert status == 1
    assert "gat_lightning.weighting.mgda -> gat_lightning.training.module" in " ".join(said.split())


def test_a_new_folder_fails_until_it_is_placed(checkout):
    folder = checkout / "src" / "gat_lightning" / "certification"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    status, said = lint(checkout)
    assert status == 1
    assert "certification" in said


def test_no_import_of_our_own_names_goes_past_the_layers():
    """``importlib.import_module`` is not seen by import-linter: only the lazy names of a package may use it."""
    found = []
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "src" / "hydra_plugins").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            name = getattr(called, "attr", getattr(called, "id", None))
            if name in ("import_module", "__import__") and path.name != "__init__.py":
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []

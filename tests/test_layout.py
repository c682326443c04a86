"""Where tests are and what they may import: helpers stand in ``tests/support``, tests where their subject does."""

import ast
from pathlib import Path

import pytest

import gat_lightning

TESTS = Path(__file__).parent
SOURCES = Path(gat_lightning.__file__).parent
OWN_PACKAGE = TESTS / "extension" / "my_gat"
"""The package that ``docs/extend.md`` shows."""

MODULES = sorted(path for path in TESTS.rglob("*.py") if path.parent != OWN_PACKAGE)
ACROSS_PACKAGES = {"benchmarks", "documentation", "extension", "paper", "reliability", "slurm"}
"""Folders of tests whose subject is no single package."""

ACROSS_MODULES = {"test_imports", "test_layers", "test_layout", "test_packaging", "test_public_names"}
"""The same for modules at the top."""


def name_of(path):
    return path.relative_to(TESTS).as_posix()


def imported(path):
    """Names of the modules that a file imports, at its top or in a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_test_is_imported_and_no_path_is_changed(path):
    for name in imported(path):
        assert not name.rpartition(".")[2].startswith(("test_", "conftest")), name
    assert path == Path(__file__) or "sys.path." not in path.read_text()


def test_helpers_are_in_support():
    others = {path for path in MODULES if path.parent != TESTS / "support"}
    assert {path for path in others if not path.name.startswith("test_")} == {
        path for path in others if path.name == "conftest.py"
    }


def test_tests_stand_where_their_subject_does():
    tests = [path for path in MODULES if path.name.startswith("test_")]
    folders = {path.parent.relative_to(TESTS).as_posix() for path in tests} - {"."} - ACROSS_PACKAGES
    assert {folder for folder in folders if not (SOURCES / folder / "__init__.py").is_file()} == set()
    at_the_top = {path.stem for path in tests if path.parent == TESTS} - ACROSS_MODULES
    assert {name for name in at_the_top if not (SOURCES / f"{name.removeprefix('test_')}.py").is_file()} == set()

import shutil
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def workplace(tmp_path_factory):
    """A folder with what the documentation's placeholders stand for, and the kept results."""
    from support.stand_ins import make_data, make_evaluations, make_run
    from support.training_runs import leave_out_picture

    folder = tmp_path_factory.mktemp("documentation")
    make_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        leave_out_picture(patch)
        make_run(folder)
    make_evaluations(folder)
    shutil.copytree(TESTS.parent / "results", folder / "results")
    return folder


@pytest.fixture
def own_network(tmp_path, monkeypatch):
    """The module that ``docs/engineer.md`` shows, where Python finds it."""
    from support.documents import PAGES, python_of

    (code,) = (code for page in PAGES for code in python_of(page) if "class MyNetwork" in code)
    (tmp_path / "mynetwork.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("mynetwork", None)

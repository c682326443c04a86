import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path.append(str(TESTS / "data"))  # for its folders of pictures
sys.path.append(str(TESTS.parent / "docs" / "hooks"))


@pytest.fixture(scope="session")
def workplace(tmp_path_factory):
    """A folder with what the documentation's placeholders stand for."""
    from stand_ins import make_data, make_evaluations, make_run

    folder = tmp_path_factory.mktemp("documentation")
    make_data(folder)
    make_run(folder)
    make_evaluations(folder)
    return folder

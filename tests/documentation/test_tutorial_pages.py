"""The tutorials have all that the notebooks have, and nothing of them is fetched from a network."""

import json
import posixpath
import re

import pytest
import tutorial_pages
from site_hooks import site_address

from support.documents import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
PAGES = tutorial_pages.pages(REPOSITORY / "notebooks")


def test_every_notebook_is_a_page():
    assert list(tutorial_pages.ADDRESSES) == [path.stem for path in NOTEBOOKS]
    assert set(map(tutorial_pages.page_of, tutorial_pages.ADDRESSES)) == {name for name in PAGES if ".md" in name}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_page_has_text_code_and_outputs(path):
    page = PAGES[tutorial_pages.page_of(path.stem)]
    for cell in json.loads(path.read_text())["cells"]:
        for line in cell["source"]:
            assert line.startswith(("%%", "[![Open in Colab]")) or line in page
        for output in cell.get("outputs", ()):
            assert all(line in page for line in output.get("text", ()))
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page)
    assert pictures
    for picture in pictures:
        folder, _, name = site_address(posixpath.normpath(f"notebooks/{picture}")).partition("/")
        assert folder == "tutorials"
        assert PAGES[name].startswith(b"\x89PNG")


def test_magics_of_cells_become_languages_and_titles(tmp_path):
    cells = [
        {"cell_type": "markdown", "id": "a", "source": ["# T\n", "[![Open](https://x.org/b.svg)](https://x.org)"]},
        {"cell_type": "code", "id": "b", "source": ["%%bash\n", "ls"], "outputs": [{"text": ["out\n"]}]},
        {"cell_type": "code", "id": "c", "source": ["%%writefile m.py\n", "x = 1"], "outputs": []},
        {
            "cell_type": "code",
            "id": "d",
            "source": ["t"],
            "outputs": [{"data": {"text/markdown": ["## S\n", "| a |"]}}],
        },
    ]
    for name in tutorial_pages.ADDRESSES:
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"cells": cells}))
    page = tutorial_pages.pages(tmp_path)["first-attack.md"]
    assert page == (
        "# T\n[Open](https://x.org)\n\n```bash\nls\n```\n\n```text\nout\n```\n\n"
        '```python title="m.py"\nx = 1\n```\n\n```python\nt\n```\n\n**S**\n| a |\n'
    )

"""The pages about methods, weightings and attacks list the options that exist, with the radii of the data sets."""

import re

import pytest
import yaml

from gat_lightning.config.files import find_conf
from support.documents import REPOSITORY


def options(group):
    return sorted((find_conf() / group).glob("*.yaml"))


def row_with(page, cell):
    """The row of a page's tables whose first cell has this name."""
    text = (REPOSITORY / "docs" / f"{page}.md").read_text()
    return next((line for line in text.splitlines() if re.match(rf"\| [^|]*`{cell}`", line)), "")


@pytest.mark.parametrize(("group", "page"), [("method", "methods"), ("weighting", "weightings"), ("attack", "attacks")])
def test_every_option_has_a_row(group, page):
    for path in options(group):
        assert row_with(page, path.stem)


def test_every_evaluation_is_named():
    text = (REPOSITORY / "docs" / "attacks.md").read_text()
    assert not [path.stem for path in options("evaluation") if f"`{path.stem}`" not in text]


@pytest.mark.parametrize("path", options("data"), ids=lambda path: path.stem)
def test_radii_are_those_of_the_data_sets(path):
    eps = yaml.safe_load(path.read_text())["eps"]
    radii = eps if isinstance(eps, dict) else {"Linf": eps}
    expected = [str(radii.get(norm, "-")) for norm in ("Linf", "L2", "L1")]
    assert [cell.strip() for cell in row_with("attacks", path.stem).split("|")[2:5]] == expected

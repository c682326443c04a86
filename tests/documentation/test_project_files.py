"""The files around the code agree with it and with each other: versions, addresses, supported Python."""

import re
import sys

import pytest
import yaml

from support.documents import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
GITHUB = REPOSITORY / ".github"
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
PAGES = [
    *(REPOSITORY / f"{name}.md" for name in ("README", "SECURITY", "CONTRIBUTING", "CODE_OF_CONDUCT")),
    REPOSITORY / "mkdocs.yml",
    *(REPOSITORY / "docs").glob("*.md"),
    *GITHUB.rglob("*.yml"),
]


def read(*parts):
    return REPOSITORY.joinpath(*parts).read_text()


def supported():
    """Versions of Python that the classifiers name, oldest first."""
    return re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))


def test_one_range_of_python():
    first, last = supported()[0], supported()[-1]
    assert PROJECT["requires-python"] == f">={first},<3.{int(last.partition('.')[2]) + 1}"
    jobs = yaml.safe_load((GITHUB / "workflows" / "tests.yml").read_text())["jobs"]
    assert jobs["tests"]["strategy"]["matrix"]["python"] == [first, last]
    for page in ("README.md", "CONTRIBUTING.md", "docs/install.md"):
        ranges = set(re.findall(r"(3\.\d+)\s+to\s+(3\.\d+)", read(page)))
        assert ranges <= {(first, last)}, page
    assert f"{first} to {last}" in read("docs", "install.md")


def test_the_workflow_and_the_continuous_integration_do_what_a_contributor_is_told():
    workflow = yaml.safe_load((GITHUB / "workflows" / "tests.yml").read_text())
    assert workflow["jobs"]["tests"]["steps"][-1]["run"] == "bash .ci/run"
    targets = re.findall(r"^make ([\w-]+)$", read(".ci", "run"), re.MULTILINE)
    assert set(targets) >= {"setup", "lint", "docs", "test"}
    for target in targets:
        assert re.search(rf"^{target}:", read("Makefile"), re.MULTILINE), target


def test_one_address_of_the_repository():
    address = PROJECT["urls"]["Repository"]
    assert CITATION["repository-code"] == address
    for path in PAGES:
        named = re.findall(r"https://github\.com/[\w-]+/gat[_-]lightning", path.read_text())
        assert set(named) <= {address}, path


def test_the_citation_is_of_the_latest_release_and_of_this_project():
    released = re.search(r"^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)", read("CHANGELOG.md"), re.MULTILINE)
    assert (CITATION["version"], str(CITATION["date-released"])) == released.groups()
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["keywords"] == PROJECT["keywords"]
    assert CITATION["preferred-citation"]["url"] == PROJECT["urls"]["Paper"]


def test_the_page_cites_the_paper_as_the_citation_file_does():
    paper, page = CITATION["preferred-citation"], read("docs", "cite.md")
    entry = re.search(r"@inproceedings\{.*?\n\}", page, re.DOTALL)[0]
    names = " and ".join(f"{author['family-names']}, {author['given-names']}" for author in paper["authors"])
    assert f"author    = {{{names}}}" in entry
    assert re.sub(r"[{}]", "", re.search(r"title     = \{(.*)\},", entry)[1]) == paper["title"]
    for fact in (paper["volume"], f"{paper['start']}--{paper['end']}", paper["year"], paper["url"]):
        assert f"{{{fact}}}" in entry


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_has_what_github_requires(path):
    form = yaml.safe_load(path.read_text())
    assert form.keys() >= {"name", "description", "body"}
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert fields
    assert len({field["id"] for field in fields}) == len(fields)
    for field in fields:
        assert field["type"] in ("textarea", "input", "dropdown", "checkboxes")
        assert field["attributes"]["label"]


def test_dependencies_are_kept_up_to_date():
    settings = yaml.safe_load((GITHUB / "dependabot.yml").read_text())
    assert {each["package-ecosystem"] for each in settings["updates"]} == {"pip", "github-actions"}


@pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"]))
def test_every_extra_is_on_the_page_of_the_installation(extra):
    assert f"`{extra}`" in read("docs", "install.md")

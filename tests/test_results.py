"""Every table of results in README and docs is what the kept runs say."""

import json
import re
from pathlib import Path

import pytest

from gat_lightning.reporting.groups import group
from gat_lightning.reporting.records import collect
from gat_lightning.reporting.tables import markdown, summarise

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REPORTED = re.compile(r"<!-- python -m gat_lightning\.report runs=(\S+) -->\n((?:\|.*\n)+)")
TABLES = [(page, runs, table) for page in PAGES for runs, table in REPORTED.findall(page.read_text())]


def kept(runs):
    records, unusable = collect([ROOT / runs])
    assert records
    assert not unusable
    return records


@pytest.mark.parametrize(("page", "runs", "table"), TABLES, ids=[f"{page.name}: {runs}" for page, runs, _ in TABLES])
def test_a_reported_table_is_that_of_its_runs(page, runs, table, monkeypatch):
    monkeypatch.chdir(ROOT)  # where the paths in the results begin
    assert table == markdown(summarise(group(kept(runs)), "best"))


def test_there_are_reported_tables():
    assert "results.md" in {page.name for page, _, _ in TABLES}


@pytest.mark.parametrize("path", sorted((ROOT / "results").rglob("result.json")), ids=lambda path: path.parent.name)
def test_a_kept_result_is_finished_and_names_no_place(path):
    result = json.loads(path.read_text())
    assert result["status"] == "finished"
    assert not re.search(r'"(/|[A-Za-z]:\\|~)', path.read_text())

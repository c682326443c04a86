"""Every table of results in README and docs is what the kept runs say."""

import json
import re
from pathlib import Path

import pytest

from gat_lightning.demo import MODELS
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
    assert "methods.md" in {page.name for page, _, _ in TABLES}


def figures(result, checkpoint, *views):
    """Accuracies of a kept run as a table has them."""
    scores = json.loads((ROOT / "results" / result / "result.json").read_text())["metrics"][checkpoint]
    return [f"{100 * scores[f'test/{view}/accuracy']:.1f} %" for view in views]


def table_below(page, header):
    """Cells of the lines below a table's header and its rule, without the first."""
    lines = (ROOT / page).read_text().partition(header)[2].splitlines()
    end = next(n for n, line in enumerate(lines[2:], 2) if not line.startswith("|"))
    return [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines[2:end]]


def test_the_demo_table_is_that_of_its_runs():
    said = table_below("README.md", "| model (digits")
    assert len(said) == len(MODELS)
    for cells, run in zip(said, MODELS.values(), strict=True):
        seconds = json.loads((ROOT / "results" / "demo" / run / "result.json").read_text())["durations"]["total"]
        assert cells == [*figures(f"demo/{run}", "best", "clean", "pgd20"), f"{seconds:.0f}"]


def test_the_table_of_catastrophic_overfitting_is_that_of_its_runs():
    for cells, run in zip(
        table_below("docs/methods.md", "| `last.ckpt`"), ("without_guard", "with_guard"), strict=True
    ):
        epochs = json.loads((ROOT / "results" / "overfitting" / run / "result.json").read_text())["epochs"]
        assert cells == [str(epochs), *figures(f"overfitting/{run}-evaluated", "last", "clean", "fgsm", "pgd20")]


def test_the_correlations_of_theorem_3_1_are_those_of_its_evaluation():
    (path,) = (ROOT / "results" / "theorem").glob("*-best-*/result.json")
    found = json.loads(path.read_text())["first_order_correlation"]
    first, second, third = (f"{each['r']:.3f}" for pair, each in found.items() if "|" in pair)
    said = " ".join((ROOT / "README.md").read_text().split())
    assert f"correlate with r = {first}, {second} and {third} for the three pairs" in said


@pytest.mark.parametrize("path", sorted((ROOT / "results").rglob("result.json")), ids=lambda path: path.parent.name)
def test_a_kept_result_is_finished_and_names_no_place(path):
    result = json.loads(path.read_text())
    assert result["status"] == "finished"
    assert not re.search(r'"(/|[A-Za-z]:\\|~)', path.read_text())


def test_the_costs_are_those_of_their_runs():
    seconds = {each.label: each.records[0].result["durations"]["train"] for each in group(kept("results/digits_cost"))}
    single = seconds["task=none"]
    expected = [[f"{each:.0f}", f"{each / single:.1f}"] for each in seconds.values()]
    assert table_below("docs/results.md", "| setting | seconds") == expected


def test_the_intervals_of_cifar_10_are_those_of_its_evaluation():
    (path,) = (ROOT / "results" / "cifar10_10pct").glob("*-best-*/result.json")
    found = json.loads(path.read_text())["intervals"]["best"]
    views = {"clean": "clean", "PGD-20": "pgd20", "AutoAttack": "autoattack"}
    ends = {said: [100 * end for end in found[f"test/{view}/accuracy"]] for said, view in views.items()}
    expected = ", ".join(f"{said} {low:.1f} to {high:.1f} %" for said, (low, high) in ends.items())
    assert expected in " ".join((ROOT / "docs" / "results.md").read_text().split())

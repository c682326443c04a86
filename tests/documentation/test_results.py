"""Every table of results in README and docs is what the kept runs say."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from gat_lightning.commands.demo import MODELS
from gat_lightning.reporting.groups import group
from gat_lightning.reporting.records import collect
from gat_lightning.reporting.tables import markdown, summarise
from gat_lightning.runs.metric_names import MetricName

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RESULTS = ROOT / "docs" / "results.md"
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


def prose(page):
    """A page's text without its line ends."""
    return " ".join(page.read_text().split())


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
    assert f"correlate with r = {first}, {second} and {third} for the three pairs" in prose(ROOT / "README.md")


@pytest.mark.parametrize("path", sorted((ROOT / "results").rglob("result.json")), ids=lambda path: path.parent.name)
def test_a_kept_result_is_finished_and_names_no_place(path):
    result = json.loads(path.read_text())
    assert result["status"] == "finished"
    assert not re.search(r'"(/|[A-Za-z]:\\|~)', path.read_text())


def test_the_costs_are_those_of_their_runs():
    seconds = {each.label: each.records[0].result["durations"]["train"] for each in group(kept("results/digits_cost"))}
    single = seconds["task=none"]
    lines = [f"| {label} | {each:.0f} | {each / single:.1f} |" for label, each in seconds.items()]
    assert "\n".join(["|---|---|---|", *lines, ""]) in RESULTS.read_text()


def test_the_intervals_of_cifar_10_are_those_of_its_evaluations():
    lines = []
    for each in group(kept("results/cifar10_10pct")):
        (training,) = (record.result["metrics"] for record in each.records if not record.is_evaluation)
        (evaluation,) = (record.result for record in each.records if record.is_evaluation)
        intervals = evaluation["intervals"]["best"]
        cells = [
            "{:.1f} to {:.1f}".format(*(100 * end for end in intervals[f"test/{view}/accuracy"]))
            for view in ("clean", "pgd20", "autoattack")
        ]
        last = [f"{100 * training['last'][f'test/{view}/accuracy']:.1f}" for view in ("clean", "pgd20")]
        lines.append(f"| {each.label} | {' | '.join(cells)} | {training['best']['epoch']} | {' / '.join(last)} |")
    assert "\n".join(["|---|---|---|---|---|---|", *lines, ""]) in RESULTS.read_text()


def test_what_is_read_from_cifar_10_is_in_its_table():
    score = under_autoattack("results/cifar10_10pct")
    with_mgda = [value for label, value in score.items() if "equal" not in label and label != "task=none"]
    said = prose(RESULTS)
    assert f"one task has {score['task=none']:.1f} %, the sets of tasks with MGDA {min(with_mgda):.1f} to" in said
    assert f"to {max(with_mgda):.1f} %, with a floor or without, and image by image" in said
    assert f"the highest figure of all, {max(score.values()):.1f} %" in said
    highest = {label for label, each in score.items() if round(each, 1) == round(max(score.values()), 1)}
    assert highest == {"task=macro weighting=equal", "task=macro weighting=mgda_floor"}
    assert f"rotation they fell to {score['task=rotation weighting=equal']:.1f} %" in said


def test_the_last_checkpoints_of_equal_weights_are_those_of_their_runs():
    trained = {each.label: each.records for each in group(kept("results/cifar10_10pct"))}
    last, best = {}, {}
    for label, records in trained.items():
        (metrics,) = (record.result["metrics"] for record in records if not record.is_evaluation)
        last[label], best[label] = 100 * metrics["last"]["test/pgd20/accuracy"], metrics["best"]["epoch"]
    jigsaw, both = "task=jigsaw weighting=equal", "task=macro+rotation weighting=equal"
    off = f"{both} curvature.mode=off"
    said = prose(RESULTS)
    assert (best[jigsaw], best[both]) == (3, 2)
    assert f"last checkpoints have {last[jigsaw]:.1f} and {last[both]:.1f} % under PGD-20" in said
    assert f"have {last[off]:.1f} % under PGD-20 in the last epoch, one task has {last['task=none']:.1f} %" in said


def test_the_minutes_of_cifar_10_are_those_of_its_runs():
    records = kept("results/cifar10_10pct")
    training = [each.result["durations"]["train"] / 60 for each in records if not each.is_evaluation]
    evaluating = [each.result["durations"]["total"] / 60 for each in records if each.is_evaluation]
    spans = [f"{min(minutes):.0f} to {max(minutes):.0f}" for minutes in (training, evaluating)]
    assert f"{spans[0]} minutes of training and {spans[1]} of evaluation" in prose(RESULTS)


def test_the_comparisons_of_cifar_10_are_those_of_their_file():
    pairs = json.loads((ROOT / "results" / "cifar10_compared" / "seed0.json").read_text())["pairs"]
    assert f"over the {len(pairs)} pairs" in prose(RESULTS)
    assert [pair["second"] for pair in pairs if pair["first"] == "one_task" and pair["reject"]] == ["rotation_equal"]


def test_the_table_of_the_readme_is_that_of_digits_and_cifar_10():
    digits, cifar = (
        {each.label: each for each in group(kept(f"results/{runs}"))} for runs in ("digits", "cifar10_10pct")
    )
    labels = {"task=macro+rotation": "digits", "task=macro+rotation weighting=equal": "weighting=equal"}
    labels["task=macro+rotation weighting=mgda_floor"] = "weighting=mgda_floor"
    expected = []
    for name in ("task=none", "task=macro", "task=rotation", "task=jigsaw", *labels):
        mean = interval = "not measured"
        if labels.get(name, name) in digits:
            summary = digits[labels.get(name, name)].summary(MetricName("test", "autoattack", "accuracy"), "best")
            mean = f"{100 * summary.mean:.1f} ± {100 * summary.std:.1f}"
        if name in cifar:
            (evaluation,) = (record.result for record in cifar[name].records if record.is_evaluation)
            ends = evaluation["intervals"]["best"]["test/autoattack/accuracy"]
            interval = "{:.1f} to {:.1f}".format(*(100 * end for end in ends))
        expected.append([mean, interval])
    assert table_below("README.md", "| setting | digits, 3 seeds") == expected


def under_autoattack(runs):
    """Mean accuracy of each setting's best checkpoints, in percent."""
    return {
        each.label: 100 * each.summary(MetricName("test", "autoattack", "accuracy"), "best").mean
        for each in group(kept(runs))
    }


def test_what_is_read_from_the_digits_is_in_their_table():
    score = under_autoattack("results/digits")
    base, single, floor = score["digits"], score["task=none"], score["weighting=mgda_floor"]
    joined, shared = (f"weighting=mgda_floor {setting}" for setting in ("task=", "data.views=shared"))
    sets = [floor, *(value for label, value in score.items() if label.startswith(joined))]
    said = prose(RESULTS)
    assert (
        f"{single - base:.1f} points below a single task ({single - score['data.views=shared']:.1f} as it reads)"
        in said
    )
    assert all(0.6 < (single - score[f"task={task}"]) / (single - base) < 0.72 for task in ("macro", "rotation"))
    assert f"the sets of tasks have {min(sets):.1f} to {max(sets):.1f} %, one task has {single:.1f} %" in said
    assert f"step, and {score['weighting.rescale=true'] - base:.1f} points" in said
    assert (
        f"cost {score['weighting=equal curvature.mode=off'] - score['weighting=equal']:.1f} points with equal" in said
    )
    assert (
        f"costs {floor - score[shared]:.1f} points with the floor and {base - score['data.views=shared']:.1f}" in said
    )
    assert f"lose most: {min(score.values()):.1f} %" in said
    assert min(score, key=score.get) == "method=madry_separate"


def test_the_comparisons_image_by_image_are_those_of_their_files():
    different = Counter()
    for path in (ROOT / "results" / "digits_compared").glob("seed?.json"):
        pairs = json.loads(path.read_text())["pairs"]
        different += Counter(pair["second"] for pair in pairs if pair["first"] == "one_task" and pair["reject"])
        different["seeds"] += 1
    assert different == {"seeds": 3, "macro": 1}


def test_the_advice_on_methods_is_in_their_table():
    score = under_autoattack("results/methods")
    undefended = score.pop("method=standard")

    def span(*methods):
        values = [score[f"method={method}"] for method in methods] or list(score.values())
        return f"{min(values):.0f} to {max(values):.0f} %"

    said = prose(RESULTS)
    assert f"{undefended:.0f} % withstand AutoAttack without one, and {span()} with one" in said
    assert f"(`adversarial`, `fat`, `mart`: {span('adversarial', 'fat', 'mart')} under AutoAttack)" in said
    assert f"(`madry`, `trades`, `madry awp.gamma=0.01`: {span('madry', 'trades', 'madry awp.gamma=0.01')})" in said
    for method in ("free", "fgsm", "fast"):
        assert f"`{method}` ({score[f'method={method}']:.0f} %)" in said

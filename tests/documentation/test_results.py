"""What the text of README and docs says of the kept results is so; their tables are those of ``make tables``."""

import json
import re
from collections import Counter

import findings
import make_tables
import pytest
from benchmarks.row import Bar, ratio_row
from benchmarks.timing import Span, Times
from benchmarks.work import Work

from benchmarks import report
from gat_lightning.runs.metric_names import MetricName
from support.documents import REPOSITORY, prose

RESULTS = REPOSITORY / "docs" / "results.md"


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Where the paths in the results begin."""
    monkeypatch.chdir(REPOSITORY)


def test_make_tables_would_change_nothing():
    for page in make_tables.PAGES:
        assert make_tables.updated(page.read_text()) == page.read_text(), page


def test_every_part_has_a_place():
    text = "".join(page.read_text() for page in make_tables.PAGES)
    names = [name for _, name, _, _ in make_tables.PART.findall(text)]
    assert len(names) == text.count("<!-- generated: ") == text.count("<!-- end -->")
    assert set(names) == set(make_tables.PARTS)


def test_whole_commands_are_shown_with_their_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(make_tables, "ROOT", tmp_path)
    times = Times({"exact": [Span(300.4, 590.0)], "fast": [Span(150.2, 280.0)]})
    row = ratio_row("command", "six epochs: exact / fast", times, "exact", "fast", Bar(least=1.5), {"order": []})
    document = report.document(Work(), 1, [row], {}, 450.6)
    report.write(document, tmp_path / "benchmarks" / "results" / "command.json")
    lines = make_tables.PARTS["command"]().splitlines()
    assert "| six epochs: exact / fast | 2.00 | 2.00 to 2.00 | 2.11 | ≥ 1.5 | yes |" in lines
    assert "| six epochs | 300 | 150 |" in lines


def under_autoattack(runs):
    """Mean accuracy of each setting's best checkpoints, in percent."""
    return {each.label: make_tables.robust_accuracy(each).mean for each in make_tables.kept(runs).groups}


def on_cifar10(value):
    """A value of each setting on CIFAR-10, by its tasks, and its weighting and curvature unless usual."""
    usual = ("weighting=mgda", "curvature.mode=objective")
    found = {}
    for each in make_tables.kept("cifar10_10pct").groups:
        words = (f"{name}={option}" for name, option in each.words.items())
        found[" ".join(word for word in words if word not in usual)] = value(each)
    return found


def test_the_correlations_of_theorem_3_1_are_those_of_its_evaluation():
    (path,) = (REPOSITORY / "results" / "theorem").glob("*-best-*/result.json")
    found = json.loads(path.read_text())["first_order_correlation"]
    pairs = [name for name in found if "|" in name and "," not in name]
    for pair in pairs:
        literal, equal = found[pair], found[f"{pair}, equal lengths"]
        cells = f"{literal['r']:.3f} (p = {literal['p_value']:.2g}) | {equal['r']:.3f}"
        assert f"| {pair.replace('|', ', ')} | {cells} |" in RESULTS.read_text()
    assert min(found[pair]["p_value"] for pair in pairs) * len(pairs) > 0.05  # none is significant by Holm's correction


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "results").rglob("result.json")), ids=lambda path: path.parent.name
)
def test_a_kept_result_is_finished_and_names_no_place(path):
    result = json.loads(path.read_text())
    assert result["status"] == "finished"
    assert not re.search(r'"(/|[A-Za-z]:\\|~)', path.read_text())


def test_what_is_read_from_cifar_10_is_in_its_table():
    score = on_cifar10(lambda each: make_tables.robust_accuracy(each).mean)
    with_mgda = [value for label, value in score.items() if "equal" not in label and label != "task=none"]
    said = prose(RESULTS)
    assert f"one task has {score['task=none']:.1f} %, the sets of tasks with MGDA {min(with_mgda):.1f} to" in said
    assert f"to {max(with_mgda):.1f} %, with a floor or without, and image by image" in said
    assert f"the highest figure of all, {max(score.values()):.1f} %" in said
    highest = {label for label, each in score.items() if round(each, 1) == round(max(score.values()), 1)}
    assert highest == {"task=macro weighting=equal", "task=macro weighting=mgda_floor"}
    assert f"rotation they fell to {score['task=rotation weighting=equal']:.1f} %" in said


def test_pgd_finds_less_than_autoattack_as_the_page_on_attacks_says():
    pgd = on_cifar10(lambda each: 100 * each.summary(MetricName("test", "pgd20", "accuracy"), "best").mean)
    score = on_cifar10(lambda each: make_tables.robust_accuracy(each).mean)
    highest = max(pgd, key=pgd.get)
    said = prose(REPOSITORY / "docs" / "attacks.md")
    assert f"has {pgd[highest]:.1f} % there and {score[highest]:.1f} % under AutoAttack" in said


def test_the_last_checkpoints_of_equal_weights_are_those_of_their_runs():
    last = on_cifar10(lambda each: 100 * make_tables.trained(each).result.metrics["last"]["test/pgd20/accuracy"])
    best = on_cifar10(lambda each: make_tables.trained(each).result.metrics["best"]["epoch"])
    jigsaw, both = "task=jigsaw weighting=equal", "task=macro+rotation weighting=equal"
    off = f"{both} curvature.mode=off"
    said = prose(RESULTS)
    assert (best[jigsaw], best[both]) == (3, 2)
    assert f"last checkpoints have {last[jigsaw]:.1f} and {last[both]:.1f} % under PGD-20" in said
    assert f"have {last[off]:.1f} % under PGD-20 in the last epoch, one task has {last['task=none']:.1f} %" in said


def test_the_minutes_of_cifar_10_are_those_of_its_runs():
    minutes = {True: [], False: []}
    for record in (record for each in make_tables.kept("cifar10_10pct").groups for record in each.records):
        seconds = record.result.durations["total" if record.is_evaluation else "train"]
        minutes[record.is_evaluation].append(seconds / 60)
    training, evaluating = (f"{min(minutes[each]):.0f} to {max(minutes[each]):.0f}" for each in (False, True))
    assert f"{training} minutes of training and {evaluating} of evaluation" in prose(RESULTS)


def test_the_comparisons_of_cifar_10_are_those_of_their_file():
    pairs = json.loads((REPOSITORY / "results" / "cifar10_compared" / "seed0.json").read_text())["pairs"]
    assert f"over the {len(pairs)} pairs" in prose(RESULTS)
    assert [pair["second"] for pair in pairs if pair["first"] == "one_task" and pair["reject"]] == ["rotation_equal"]


def test_what_is_read_from_the_digits_is_in_their_table():
    score = under_autoattack("digits")
    base, single, floor = score["base setting"], score["task=none"], score["weighting=mgda_floor"]
    shared = "weighting=mgda_floor data.views=shared"
    sets = [floor, *(score[f"task={task} weighting=mgda_floor"] for task in ("macro", "rotation"))]
    said = prose(RESULTS)
    assert (
        f"{single - base:.1f} points below a single task ({single - score['data.views=shared']:.1f} as published)"
        in said
    )
    assert all(0.6 < (single - score[f"task={task}"]) / (single - base) < 0.72 for task in ("macro", "rotation"))
    assert f"the sets of tasks have {min(sets):.1f} to {max(sets):.1f} %, one task has {single:.1f} %" in said
    assert f"`weighting.rescale=true` recovers {score['weighting.rescale=true'] - base:.1f} points" in said
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
    for path in (REPOSITORY / "results" / "digits_compared").glob("seed?.json"):
        pairs = json.loads(path.read_text())["pairs"]
        different += Counter(pair["second"] for pair in pairs if pair["first"] == "one_task" and pair["reject"])
        different["seeds"] += 1
    assert different == {"seeds": 3, "macro": 1}


def test_the_advice_on_methods_is_in_their_table():
    score = under_autoattack("methods")
    undefended = score.pop("method=standard")
    score["method=madry"], score["method=madry awp.gamma=0.01"] = score.pop("base setting"), score.pop("awp.gamma=0.01")

    def span(*methods):
        values = [score[f"method={method}"] for method in methods] or list(score.values())
        return f"{min(values):.0f} to {max(values):.0f} %"

    said = prose(RESULTS)
    assert f"{undefended:.0f} % withstand AutoAttack without one, and {span()} with one" in said
    assert f"(`adversarial`, `fat`, `mart`: {span('adversarial', 'fat', 'mart')} under AutoAttack)" in said
    assert f"(`madry`, `trades`, `madry awp.gamma=0.01`: {span('madry', 'trades', 'madry awp.gamma=0.01')})" in said
    for method in ("free", "fgsm", "fast"):
        assert f"`{method}` ({score[f'method={method}']:.0f} %)" in said


def test_cheaper_steps_do_what_the_page_says():
    accuracy = {each.label: make_tables.robust_accuracy(each) for each in make_tables.kept("less").groups}
    said = prose(REPOSITORY / "docs" / "faster.md")
    every, seldom = accuracy["base setting"], accuracy["curvature.every=10 engine.solve_every=10"]
    assert "in every tenth step changes accuracy by less than the seeds do" in said
    assert abs(every.mean - seldom.mean) < min(every.std, seldom.std)
    assert "FAMO without curvature terms is more robust than MGDA" in said
    famo, mgda = accuracy["weighting=famo curvature.mode=off"], accuracy["curvature.mode=off"]
    assert famo.mean - famo.std > mgda.mean + mgda.std
    assert "With curvature terms it leaves next to no robustness" in said
    assert accuracy["weighting=famo"].mean < 10


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("cpu", "LibMTL / ours, exact", "{median} times as fast as LibMTL's** with exact curvature (rounds: {range})"),
        ("cpu", "TorchJD / ours, exact", "{median} times as fast as TorchJD's ({range})"),
        ("cpu", "memory: ours / LibMTL", "in {median} of LibMTL's memory"),
        (
            "cpu",
            "ours (fp32 eager) / fast",
            "{median} times as fast as `engine=exact`** with exact curvature ({range})",
        ),
        (
            "cpu",
            "ours, without curvature (fp32 eager) / fast, without curvature",
            "{median} times without curvature ({range})",
        ),
        (
            "autoattack",
            "AutoAttack, digits: torchattacks / fast",
            "{median} times as fast as torchattacks'** on digits ({range})",
        ),
        ("autoattack", "AutoAttack, CIFAR-10: torchattacks / fast", "{median} times on CIFAR-10 ({range})"),
    ],
)
def test_speeds_are_those_of_their_tables(name, row, said):
    rows = json.loads((REPOSITORY / "benchmarks" / "results" / f"{name}.json").read_text())["rows"]
    (ratio,) = (each["ratio"] for each in rows if each["what"] == row)
    ends = f"{ratio['low']:.2f} to {ratio['high']:.2f}"
    assert said.format(median=f"{ratio['median']:.2f}", range=ends) in prose(REPOSITORY / "benchmarks" / "README.md")


@pytest.mark.parametrize("found", findings.FINDINGS, ids=lambda found: found.words)
def test_a_finding_says_what_its_interval_does(found):
    mean, low, high = findings.interval(found, make_tables.kept)
    nothing = ("not shown", "Nor is it", "no measurable effect")
    assert low < mean < high
    assert (low < 0 < high) == any(words in found.words for words in nothing)

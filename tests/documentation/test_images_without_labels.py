"""What README and docs/unlabeled.md say of images without labels is in the kept results."""

import json
from functools import partial

import cifar10_few_labels
import findings
import make_tables
import numpy as np
import pytest

from benchmarks import few_labels
from gat_lightning.evaluation.statistics import mean_std
from gat_lightning.reporting.records import collect
from support.documents import REPOSITORY, prose

FOUND = json.loads((REPOSITORY / few_labels.COMPARED).read_text())
README = prose(REPOSITORY / "README.md")
SAID = prose(REPOSITORY / "docs" / "unlabeled.md")
MODES = ("pseudo_label", "consistency", "both")
BOTH_TASKS = "both task=macro+rotation weighting="


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Where the paths in the results begin."""
    monkeypatch.chdir(REPOSITORY)


def told(arm):
    return few_labels.words(arm), arm["labels"], arm["checkpoint"]


def scores(arm, labels=10, checkpoint="last"):
    """Accuracies under AutoAttack in percent, a seed each."""
    (found,) = (each for each in FOUND["arms"] if told(each) == (arm, labels, checkpoint))
    return found[few_labels.VIEW]


def mean(arm, labels=10, checkpoint="last"):
    return float(np.mean(scores(arm, labels, checkpoint)))


def difference(first, second, labels=10, checkpoint="last"):
    """Mean difference of an arm with 10 labels a class to another, in points, with its interval over the seeds."""
    wanted = (first, 10, checkpoint), (second, labels, checkpoint)
    (found,) = (each for each in FOUND["differences"] if (told(each["first"]), told(each["second"])) == wanted)
    return found["mean"], *found["seeds"]


def points(first, second, **of):
    found, low, high = difference(first, second, **of)
    return f"{found:.1f} points ({low:.1f} to {high:.1f})"


def test_the_kept_differences_follow_from_the_kept_evaluations(monkeypatch):
    monkeypatch.setattr(few_labels, "difference", partial(few_labels.difference, draws=2))
    made = few_labels.compared(few_labels.evaluated())
    assert made["arms"] == FOUND["arms"]
    assert len(made["differences"]) == len(FOUND["differences"])
    for each, kept in zip(made["differences"], FOUND["differences"], strict=True):
        assert {**each, "seeds_and_images": kept["seeds_and_images"]} == kept


def test_the_gain_over_the_best_method_on_the_labels_alone():
    order = sorted(few_labels.BASELINES, key=mean, reverse=True)
    assert order == ["trades", "awp", "mart", "adversarial"]
    gain = f"{difference('both', 'trades')[0]:.0f} points higher than with TRADES, the best method on the labels alone"
    each = "TRADES {:.1f} %, AWP {:.1f} %, MART {:.1f} %, adversarial training {:.1f} %".format(*map(mean, order))
    assert f"{gain} (`last.ckpt` under AutoAttack: {each})" in SAID
    assert max(order, key=partial(mean, checkpoint="best")) == "trades"
    assert f"With `best.ckpt` it is {difference('both', 'trades', checkpoint='best')[0]:.0f} points" in SAID
    both, trades = (mean_std(scores(arm)).text(1) for arm in ("both", "trades"))
    assert f"{both} % of the test images withstand AutoAttack after a training that also uses the other" in README
    assert f"and {trades} % after the best one on the labels alone ({len(scores('both'))} seeds)" in README


def test_the_gain_is_the_same_on_all_pages():
    both, default = (f"{difference(mode, 'trades')[0]:.0f} points" for mode in ("both", "pseudo_label"))
    pages = {name: prose(REPOSITORY / "docs" / f"{name}.md") for name in ("index", "questions", "choosing")}
    assert f"with ten labels per class of the digits, they add {both} under AutoAttack" in pages["index"]
    assert f"`data.unlabeled=FOLDER`. On digits with ten labels a class, they gained {default}" in pages["questions"]
    assert f"{default} over the best method on the labels alone on digits with 10 labels a class" in pages["choosing"]
    more = f"{difference('both', 'pseudo_label')[0]:.0f} points more on digits"
    assert more in pages["choosing"]


def test_what_all_labels_are_worth():
    lost = {mode: f"{-difference(mode, 'adversarial', labels=few_labels.ALL)[0]:.0f}" for mode in MODES}
    than = f"{lost['consistency']} points better than `consistency`, {lost['both']} than `both`"
    assert f"training on all labels is {than} and {lost['pseudo_label']} than `pseudo_label`" in SAID
    assert all(difference(mode, "adversarial", labels=few_labels.ALL)[2] < 0 for mode in MODES)
    with_50 = [mean(mode, 50) for mode in MODES]
    everything = mean("adversarial", few_labels.ALL)
    reached = f"{min(with_50):.0f} to {max(with_50):.0f} % with 50 labels a class, {everything:.0f} % with all"
    assert f"The modes reach {reached}" in SAID


def test_three_labels_a_class():
    alone, both = mean("adversarial", 3), mean("both", 3)
    assert f"the labels alone withstand AutoAttack on {alone:.0f} % of the images, `both` on {both:.0f} %" in SAID


def test_how_the_modes_compare():
    assert f"by {points('both', 'pseudo_label')} and {points('consistency', 'pseudo_label')}" in SAID
    _, low, high = difference("both", "consistency")
    assert low < 0 < high
    assert "Between the two no difference is shown" in SAID


def test_what_validation_chooses():
    records = [each for each in collect([few_labels.STUDIES[0]])[0] if not each.is_evaluation]
    chosen = {}
    for record in records:
        if record.configuration["data"]["fraction"] == 0.0696:
            chosen.setdefault(few_labels.typed_arm(record), []).append(record.result.summary["best_selection"])
    percent = {arm: round(100 * float(np.mean(each))) for arm, each in chosen.items()}
    words = {
        "pseudo_trades": "TRADES on pseudo-labels",
        "both": "`both`",
        "consistency": "consistency",
        "pseudo_label": "pseudo-labels",
    }
    found = ", ".join(f"{percent[arm]} % with {each}" for arm, each in words.items())
    assert f"PGD-10 leaves {found} (best epochs" in SAID
    assert max(percent[arm] for arm in few_labels.BASELINES) < min(percent[arm] for arm in words)


def test_a_best_checkpoint_chosen_by_few_images_is_not_as_robust():
    best, last = mean("both", checkpoint="best"), mean("both")
    chosen = f"with `best.ckpt` of `both`, chosen by 20 images, and {last:.1f} % with `last.ckpt`"
    assert f"on digits {best:.1f} % withstand AutoAttack {chosen}" in SAID
    everything, trades = mean("adversarial", few_labels.ALL, "best"), mean("trades", checkpoint="best")
    assert f"{trades:.1f} % with `best.ckpt` of TRADES, and {everything:.1f} % with that of all labels" in SAID


def test_what_auxiliary_tasks_do():
    tasks = [each for each in FOUND["differences"] if each["first"]["task"] != "none"]
    (best,) = (each for each in tasks if each["seeds"][0] > 0)
    assert (len(tasks), few_labels.words(best["first"])) == (6, f"{BOTH_TASKS}mgda_floor")
    over_seeds, over_both = ("{:.1f} to {:.1f}".format(*best[over]) for over in ("seeds", "seeds_and_images"))
    assert f"gains {best['mean']:.1f} points ({over_seeds} over the seeds, {over_both} over other images too)" in SAID
    assert best["seeds_and_images"][0] < 0
    assert round(1 / (1 - 0.975 ** len(tasks))) == 7
    assert "happens by chance in one study of seven" in SAID
    rotation, _, most = difference("both task=rotation weighting=equal", "both")
    together, _, most_of_both = difference(f"{BOTH_TASKS}equal", "both")
    assert max(most, most_of_both) < 0
    assert f"rotation costs {-rotation:.1f} points and both tasks together {-together:.1f}" in SAID


def test_the_accuracies_on_cifar_10_are_those_of_their_evaluations():
    worst = {tuple(row[:3]): row[-1].partition(" ")[0] for row in cifar10_few_labels.table()[1:]}

    def best(arm, seed):
        return worst[f"`{arm}`", str(seed), "`best`"]

    pseudo_labels, alone = ([best(arm, seed) for seed in (0, 1)] for arm in ("pseudo_label", "adversarial"))
    assert f"{' and '.join(pseudo_labels)} % of 1,000 test images withstand APGD (two seeds)" in SAID
    assert f"and {' and '.join(alone)} % with the labels alone" in SAID
    both, consistency = ([best(mode, seed) for seed in (0, 1)] for mode in ("both", "consistency"))
    assert (
        f"`both` does better than pseudo-labels in one of two seeds**: at its best epochs {' and '.join(both)} %"
        in SAID
    )
    assert f"`consistency` has {' and '.join(consistency)} %, and overfits" in SAID


def test_the_gains_on_cifar_10_are_those_of_their_files():
    first, second = (
        findings.interval(each, make_tables.kept)
        for each in findings.FINDINGS
        if each.runs.startswith("few_labels_compared/cifar10")
    )
    means = f"{first[0]:.1f} and {second[0]:.1f} points"
    ends = [f"{low:.1f} to {high:.1f}" for _, low, high in (first, second)]
    assert f"gain {means} (two seeds; 95 % intervals {ends[0]} and {ends[1]}) over adversarial training" in README
    assert f"{first[0]:.1f} points above the labels alone in seed 0 ({ends[0]} over the images)" in SAID
    assert f"and {second[0]:.1f} points in seed 1 ({ends[1]})" in SAID


def test_both_against_pseudo_labels_on_cifar_10():
    compared = REPOSITORY / few_labels.COMPARED.parent / "cifar10_modes_seed1.json"
    settings = [(f"both{end}", f"pseudo_label{end}") for end in ("", "_last")]
    best, last = (findings.over_images(each, compared) for each in settings)
    at_best = f"{best[0]:.1f} points above pseudo-labels at the best epochs ({best[1]:.1f} to {best[2]:.1f})"
    assert (
        f"In seed 1 `both` is {at_best} and {last[0]:.1f} points at the last ones ({last[1]:.1f} to {last[2]:.1f})"
        in SAID
    )
    worst = {tuple(row[:3]): float(row[-1].partition(" ")[0]) for row in cifar10_few_labels.table()[1:]}
    below, above = (
        worst["`both`", "0", f"`{checkpoint}`"] - worst["`pseudo_label`", "0", f"`{checkpoint}`"]
        for checkpoint in ("best", "last")
    )
    assert f"In seed 0 it is {-below:.1f} points below them at the best epochs and {above:.1f} points above" in SAID


def test_the_gains_of_a_small_net():
    gains = {}
    for labels in (250, 5000):
        compared = REPOSITORY / few_labels.COMPARED.parent / f"small_{labels}.json"
        settings = [(f"pseudo_label{end}", f"adversarial{end}") for end in ("", "_last")]
        gains[labels] = [findings.over_images(each, compared) for each in settings]
    (few, low, high), (overfitted, *ends) = gains[250]
    assert f"{few:.1f} points at the best epochs (95 % interval over the images {low:.1f} to {high:.1f})" in SAID
    assert f"and {overfitted:.1f} points at the last ones ({ends[0]:.1f} to {ends[1]:.1f})" in SAID
    many, last = (f"{gain:.1f} points ({low:.1f} to {high:.1f})" for gain, low, high in gains[5000])
    assert f"With 5,000 labels they gain {many} and {last}" in SAID
    assert gains[5000][0][1] < 0 < low
    many, few = (
        many.replace(" (", " at the best epochs ("),
        f"{few:.1f} points with 250 labels ({low:.1f} to {high:.1f})",
    )
    assert f"with a smaller net {many}, and {few}" in SAID


def test_how_often_the_teacher_of_a_small_net_is_right():
    records = [each for each in collect([cifar10_few_labels.RUNS])[0] if not each.is_evaluation]
    small = [each for each in records if each.configuration["encoder"]["_target_"].endswith("small")]
    right = sorted(each.result.unlabeled.get("validation_accuracy", 0.0) for each in small)
    few, many = (f"{accuracy:.0%}".replace("%", " %") for accuracy in right[2:])
    assert f"right on {few} of the 25 validation images with 250 labels, and on {many} of the 500 with 5,000" in SAID

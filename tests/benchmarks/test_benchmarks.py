"""The benchmarks on a tiny model: what they compare does the same work, and they write what they found."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

if not all(map(find_spec, ("LibMTL", "torchjd"))):
    pytest.skip("needs gat-lightning[bench]", allow_module_level=True)
ROOT = Path(__file__).parents[2]

from benchmarks.arithmetic import operations  # noqa: E402
from benchmarks.contestants import CONTESTANTS, HALF_LABELLED  # noqa: E402
from benchmarks.ours import Ours  # noqa: E402
from benchmarks.row import Bar, Row  # noqa: E402
from benchmarks.timing import Ratio  # noqa: E402
from benchmarks.work import Work  # noqa: E402

from benchmarks import agreement, autoattack, commands, derivative, report, rows  # noqa: E402
from gat_lightning.config.engine import Machine  # noqa: E402
from support.graphs import traced  # noqa: E402

TINY = Work("preact_resnet_small", width=4, batch=4, size=8, steps=2, threads=1, dtype="float64", random_start=False)


@pytest.fixture(autouse=True)
def same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_all_compute_the_same_gradients():
    found = agreement.check(TINY, lambda text: None)
    assert set(found) >= {"float64"}
    assert found["float64"]["TorchJD"] < 1e-12
    assert found["float64"]["LibMTL"] < 1e-6  # it keeps gradients in float32
    norms = agreement.step_norms(TINY)
    assert norms["ours"] <= min(norms.values()) * (1 + 1e-6)  # the others' solvers stop earlier


def test_our_step_does_the_floors_arithmetic_and_less_than_the_peers():
    counts = {name: operations(name, TINY) for name in ("ours", "floor", "LibMTL")}
    assert counts["floor"] <= counts["ours"] < 1.06 * counts["floor"]
    assert counts["LibMTL"] > 1.1 * counts["ours"]


def test_the_peer_without_curvature_has_the_same_gradients_of_the_losses():
    both, losses, ours = (
        CONTESTANTS[name](TINY).gradients(0)
        for name in ("LibMTL", "LibMTL, without curvature", "ours, without curvature")
    )
    assert len(losses) == 6
    assert agreement.difference(losses, both[:6]) == 0
    assert agreement.difference(ours, losses) < 1e-6


EAGER = [name for name in CONTESTANTS if "fast" not in name and "compiled" not in name]


@pytest.mark.parametrize("name", EAGER)
def test_every_eager_contestant_changes_its_weights(name):
    contestant = CONTESTANTS[name](replace(TINY, steps=1))
    model = contestant.model if hasattr(contestant, "model") else getattr(contestant, "_ours", contestant).module.model
    before = [parameter.clone() for parameter in model.parameters()]
    contestant.step(0)
    changed = not all(map(torch.equal, before, model.parameters()))
    assert changed is (name != "floor")


def test_finite_differences_are_compared_at_the_same_weights_on_the_same_images(monkeypatch):
    small = replace(TINY, batch=2, steps=1)
    found = derivative.compare(small, lambda text: None, steps=1)
    assert list(found) == [
        f"{scheme}, h = {h:g}" for scheme in ("forward", "central") for h in derivative.DISPLACEMENTS
    ]
    assert len({each["relative error"] for each in found.values()}) == len(found)
    monkeypatch.setattr(derivative, "Ours", lambda work, **settings: Ours(work))
    for each in derivative.compare(small, lambda text: None, steps=1).values():
        assert each == {"relative error": 0.0, "cosine": pytest.approx(1.0)}


def test_rows_of_bf16_are_not_run_on_a_processor_without_it(monkeypatch):
    monkeypatch.setattr(rows, "this_machine", lambda device: Machine(device, bf16=False, compiler=True))
    found = rows.fast(TINY, 1, lambda text: None)
    assert [str(row.bar) for row in found] == ["≥ 2.2", "≥ 1.7", "≥ 1.5", "≥ 2.5", "≥ 2", "≥ 1.8"]
    assert all(row.met is None and "AVX512" in row.detail["not run"] for row in found)


def test_a_round_of_two_cycles_has_two_solves_with_curvature_and_as_many_steps_as_a_single_task(monkeypatch):
    taken = {"two cycles": [], "as many steps of a single task": []}
    for name, names in taken.items():
        contestant = CONTESTANTS[name](replace(TINY, steps=1))
        step = contestant._ours.step

        def recorded(index, step=step, names=names, ours=contestant._ours):
            step(index)
            names.append(list(ours.last.names))

        monkeypatch.setattr(contestant._ours, "step", recorded)
        contestant.step(0)
    curvature = [sum(name.endswith("curvature") for name in names) for names in taken["two cycles"]]
    assert curvature == 2 * [2, *[0] * 9]
    assert taken["as many steps of a single task"] == 20 * [["class/clean+adv"]]


def test_two_cycles_have_a_bar_against_either_single_task(monkeypatch):
    class Nothing:
        def step(self, index):
            pass

    monkeypatch.setattr("benchmarks.timing.gc.collect", lambda: None)
    for name in list(CONTESTANTS):
        monkeypatch.setitem(CONTESTANTS, name, lambda work: Nothing())
    bars = {row.what: str(row.bar) for row in rows.less(TINY, 2, lambda text: None)}
    assert bars["two cycles / as many steps of a single task"] == "≤ 1.25"
    assert bars["two cycles / as many steps of a single task, adversarial losses alone"] == "≤ 1.25"
    assert bars["FAMO / ours"] == "None"


def test_steps_with_and_without_consistency_have_as_many_images_without_labels():
    found = {}
    for name in HALF_LABELLED:
        contestant = CONTESTANTS[f"{name}, without curvature"](TINY)
        batch = contestant.batch(0)
        assert (batch.labels["class"] == -1).tolist() == [False] * (TINY.batch // 2) + [True] * (TINY.batch // 2)
        contestant.step(0)
        found[name] = contestant.last
    with_it, without = found["half without labels, consistency"], found["half without labels"]
    assert with_it.names == without.names
    assert list(with_it.followers) == ["class/consistency"]
    assert without.followers == {}


@pytest.mark.slow
@pytest.mark.parametrize("group", ["fast", "compiled"])
def test_rows_of_compiled_contestants_run(group, monkeypatch):
    monkeypatch.setattr(rows, "this_machine", lambda device: Machine(device, bf16=True, compiler=True))
    work = replace(TINY, width=16, dtype="float32", steps=1)
    found = rows.GROUPS[group](work, 1, lambda text: None)
    assert all(row.ratio.median > 0 and row.bar is not None and "fp32 eager" in row.what for row in found)


@pytest.mark.slow
@pytest.mark.parametrize("training", commands.TRAININGS, ids=lambda training: training.what.split()[-1])
def test_whole_commands_are_timed(training):
    few = ["+trainer.limit_train_batches=1", "+trainer.limit_val_batches=1", "+trainer.limit_test_batches=1"]
    short = replace(training, settings=lambda *given: [*training.settings(*given), "trainer.max_epochs=1", *few])
    times, detail = commands.compare(short, replace(TINY, size=16, batch=8, width=16), 2, lambda text: None)
    rounds = 1 if training.once else 2
    assert {engine: len(spans) for engine, spans in times.spans.items()} == {"exact": rounds, "fast": rounds}
    assert all(span.cpu > 1 for spans in times.spans.values() for span in spans)
    assert detail["order"] == ["exact", "fast"]
    for engine, recorded in detail["recorded"].items():
        assert recorded["durations"]["total"] < times.spans[engine][-1].wall


def test_a_bar_is_met_by_the_median():
    row = Row("step", "a / b", Ratio(1.3, 1.1, 1.5), Bar(least=1.25))
    assert row.met
    assert not Row("step", "a / b", Ratio(1.2, 1.1, 1.5), Bar(least=1.25)).met
    assert Row("gpu", "not run", bar=Bar(least=2)).met is None
    document = report.document(TINY, 1, [row], report.environment(), 1.0)
    assert document["rows"][0]["ratio"]["median"] == 1.3
    assert "1.30" in report.markdown(document)


def test_the_readme_has_the_details_of_the_kept_runs():
    kept, attack = (
        json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text()) for name in ("cpu", "autoattack")
    )
    said = " ".join((ROOT / "benchmarks" / "README.md").read_text().split())
    on_digits, on_cifar10 = (row["detail"] for row in attack["rows"] if row["what"].endswith(": ours / torchattacks"))
    assert f"the {on_digits['images']} test images of the digits" in said
    assert f"on {on_cifar10['images']} of CIFAR-10" in said
    withstand = [f"{100 * detail['robust accuracy']:.1f} %" for detail in (on_digits, on_cifar10)]
    assert f"{withstand[0]} of the digits and {withstand[1]} of CIFAR-10's images withstand all three" in said
    ties = [detail["ties of rounding"] for detail in (on_digits, on_cifar10)]
    assert f"ties of rounding: {ties[0]} and {ties[1]}" in said
    differences = kept["rows"][0]["detail"]["differences"]["float32"]
    assert f"at most {max(differences['LibMTL'], differences['TorchJD']):.1e} of their length" in said
    (counted, _) = (row for row in kept["rows"] if row["group"] == "arithmetic")
    ours, by_differences, peer, _ = (f"{each:.0f}" for each in counted["detail"].values())
    assert f"need {ours} GFLOP here and {peer} in the LibMTL step" in said
    assert f"need more arithmetic ({by_differences} GFLOP)" in said


@pytest.mark.slow
def test_autoattack_leaves_the_same_images_standing_as_torchattacks(monkeypatch):
    traced(monkeypatch)
    monkeypatch.setattr(autoattack, "compiling_pays", lambda work, device, threads, bf16: (True, "in this test"))
    times, detail = autoattack.compare(autoattack.digits(TINY, images=30), TINY, 1, lambda text: None)
    assert set(times.spans) == {"ours", "ours, fast", "torchattacks"}
    assert detail["images"] == 30
    assert detail["compiled"]
    assert detail["ties of rounding"] <= 1
    assert 0 < detail["robust accuracy"] < 1


@pytest.mark.slow
def test_the_command_measures_and_writes(tmp_path):
    arguments = ["--rows", "arithmetic", "gpu", "--rounds", "1", "--width", "4", "--batch", "4"]
    code = "import runpy, pathlib, benchmarks.__main__ as m; m.RESULTS = pathlib.Path('out'); m.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "latest.json").read_text())
    assert {row["group"] for row in found["rows"]} == {"arithmetic", "gpu"}
    assert found["environment"]["packages"]["torch"]

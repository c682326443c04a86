"""The measurements for a GPU, rehearsed on a CPU."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from benchmarks.gpu import gramian, numerics, packages, steps, throughput, watch
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.plan import PHASES, plan
from benchmarks.gpu.summary import goals, summary
from benchmarks.gpu.switches import Switches

ROOT = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path):
    return Machine("cpu", tmp_path, tmp_path / "runs", None)


def rehearse(out, *arguments, code=0):
    """What the command has found, by phase and name."""
    command = [sys.executable, "-m", "benchmarks.gpu", str(out), "--cpu", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done, Journal(out / "gpu.jsonl").lines


def test_gradients_in_float64_are_those_of_the_cpu_and_bf16_is_coarser(machine):
    errors = {
        precision: numerics.against_float64(machine, "off", precision)["largest error of a gradient"]
        for precision in ("float64", "fp32", "bf16")
    }
    assert errors["float64"] < 1e-12
    assert errors["float64"] < errors["fp32"] < 1e-4 < errors["bf16"] < 0.5


@pytest.mark.parametrize("way", gramian.WAYS)
def test_every_way_to_compute_the_gramian_is_as_exact_as_its_sums(machine, way):
    error = gramian.duration(machine, way, 3, 100_000)["largest error"]
    assert error < (1e-5 if way in ("pairs", "one product in float32") else 1e-12)


def test_a_step_is_timed(machine):
    found = steps.step(machine, {"derivative": "off"}, Switches())
    assert found["images per second"] == pytest.approx(machine.work.batch / found["ms"] * 1000, rel=0.02)


def test_a_step_that_was_to_be_compiled_and_was_not_is_no_finding(machine, monkeypatch):
    monkeypatch.setattr("gat_lightning.training.passes.Passes.setup", lambda self, device, training: None)
    with pytest.raises(RuntimeError, match="nothing was compiled"):
        steps.step(machine, {"derivative": "off", "compiled": True}, Switches())


def test_warnings_of_cuda_are_counted_by_line():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("scatter does not have a deterministic implementation", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    found = watch.described(seen)
    assert (found["synchronisations"], found["non-deterministic operations"]) == (3, 1)
    ((line, count),) = found["synchronisations, where"].items()
    assert line.startswith("test_gpu.py:")
    assert count == 3


def test_every_item_has_a_name_of_its_own_and_time_enough(machine):
    on_gpu = Machine("cuda:0", machine.folder, machine.runs, None)
    items = [item for phase in plan(on_gpu).values() for item in phase]
    assert len({item.key for item in items}) == len(items) > 100
    assert all(item.seconds < item.limit for item in items)
    assert {item.phase for item in items} == set(PHASES)
    assert {item.obstacle for item in items if item.phase == "training"} == {"needs --data FILE"}


def test_the_summary_has_the_goals_beside_the_figures(tmp_path):
    journal = Journal(tmp_path / "gpu.jsonl")
    for engine, curvature, ms, rate in (
        (steps.FAST, "without curvature", 25.0, 5120), (steps.BEFORE, "without curvature", 60.0, 2133),
        (steps.FAST, "finite differences", 80.0, 1600),
    ):  # fmt: skip
        journal.say("step", f"{engine}, {curvature}", ok=True, ms=ms, **{"images per second": rate})
    journal.say("graph", "fp32", ok=False, seconds=3.0, error="RuntimeError: no\nmore", where="")
    journal.say("training", "task=none, seed 0", skipped="needs --data FILE")
    by_name = {goal.what: goal.cells()[1:] for goal in goals(journal)}
    assert by_name["images per second, engine=fast, without curvature"] == ["5,120", "≥ 4,500", "yes"]
    assert by_name["images per second, engine=fast, finite differences"] == ["1,600", "≥ 1,800", "no"]
    assert by_name[f"{steps.BEFORE} / engine=fast, without curvature"] == ["2.4", "≥ 2.5", "no"]
    assert by_name[f"{steps.BEFORE} / engine=fast, exact curvature"] == ["not measured", "≥ 2.5", ""]
    journal.say("environment", "machine", ok=True, device={"name": "a GPU", "type": "cuda"}, versions={"torch": "2.11"})
    text = summary(journal)
    assert "\na GPU, torch 2.11.\n" in text
    assert "rehearsal" not in text
    assert "- **fp32** failed after 3.0 s: RuntimeError: no\n" in text
    assert "- task=none, seed 0: not measured, needs --data FILE\n" in text


def test_packages_that_the_machine_lacks_are_named(monkeypatch):
    assert packages.lacking() == []
    required = ["torch>=2.11", "no-such.package[extra]<3", "other; extra == 'dev'"]
    monkeypatch.setattr(packages, "requires", lambda name: required)
    assert packages.lacking() == ["no-such.package"]


@pytest.mark.slow
def test_findings_of_another_machine_are_refused(tmp_path):
    Journal(tmp_path / "gpu.jsonl").say(
        "environment", "machine", ok=True, device={"name": "a GPU", "type": "cuda"}, versions={"torch": "2.11.0"}
    )
    done, lines = rehearse(tmp_path, "--phases", "gramian", code=1)
    assert "the findings are of a GPU, torch 2.11.0, and this is" in done.stderr
    assert set(lines) == {("environment", "machine")}


@pytest.mark.slow
def test_the_process_that_measures_ends_with_the_command(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", str(tmp_path), "--cpu", "--phases", "commands"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert "machine" in process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children
    assert not any(Path(f"/proc/{child}").exists() for child in children)


@pytest.mark.slow
def test_the_whole_rehearsal_finds_everything_and_a_second_call_nothing_more(tmp_path):
    data, out = tmp_path / "images.npz", tmp_path / "out"
    throughput.write_noise(data, {"train": 400, "test": 100})
    _, lines = rehearse(out, "--minutes", "60", "--data", str(data))
    assert [line for line in lines.values() if line.get("ok") is not True] == []
    assert {phase for phase, _ in lines} == set(PHASES)
    assert "the figures mean nothing" in (out / "summary.md").read_text()
    for derivative in ("exact", "finite_difference"):
        for precision, bar in (("float64", 1e-12), ("fp32", 1e-4)):
            line = lines["numerics", f"{derivative}, {precision}"]
            assert len(line["errors"]) == 8
            assert max(line["errors"].values()) < bar
    assert lines["collectives", "exact"]["back end"] == "gloo"
    assert lines["throughput", "engine=fast, without curvature"]["images per second"] > 0
    (run,) = (out / "runs").iterdir()
    assert json.loads((run / "result.json").read_text())["status"] == "finished"
    written = (out / "gpu.jsonl").read_text()
    _, again = rehearse(out, "--data", str(data))
    assert again == lines
    machine_alone = (out / "gpu.jsonl").read_text().removeprefix(written).splitlines()
    assert [json.loads(line)["phase"] for line in machine_alone] == ["environment"]

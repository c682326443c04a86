"""The measurements for a GPU, rehearsed on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.findings import Findings

ROOT = Path(__file__).parents[2]


def rehearsed(folder, *arguments):
    """What the command has found, by phase and name."""
    command = [sys.executable, "-m", "benchmarks.gpu", str(folder), "--cpu", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (folder / "gpu.jsonl").read_text().splitlines()]
    assert [line for line in lines if line.get("ok") is False] == []
    return {(line["phase"], line["name"]): line for line in lines}


def test_the_chosen_phases_run_and_each_finding_is_a_line(tmp_path):
    found = rehearsed(tmp_path, "--phases", "environment", "gramian")
    assert {phase for phase, _ in found} == {"environment", "gramian"}
    assert found["environment", "versions"]["device"]["type"] == "cpu"
    assert sum("ms" in line for line in found.values()) == 10


@pytest.mark.slow
def test_a_phase_for_which_there_is_no_time_is_left_out(tmp_path):
    found = rehearsed(tmp_path, "--phases", "environment", "gramian", "--seconds", "10")
    assert set(found) == {("environment", "versions"), ("environment", "phase"), ("gramian", "skipped")}


def test_a_failure_is_a_finding_and_what_follows_is_found_too(tmp_path):
    findings = Findings(tmp_path / "found.jsonl", 60)
    with findings.attempt("phase", "wrong") as found:
        found["kept"] = 1
        raise ValueError("no such figure")
    with findings.attempt("phase", "right") as found:
        found["figure"] = 2
    wrong, right = (json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines())
    assert (wrong["ok"], wrong["error"]) == (False, "ValueError: no such figure")
    assert "test_gpu.py" in wrong["where"]
    assert (right["ok"], right["figure"]) == (True, 2)


@pytest.mark.slow
def test_every_phase_runs(tmp_path):
    found = rehearsed(tmp_path, "--seconds", "3600")
    for derivative in ("exact", "finite_difference"):
        for precision, bar in (("float64", 1e-12), ("ieee", 1e-4)):
            line = found["numerics", f"{derivative}, {precision}"]
            assert len(line["relative errors"]) == 8
            assert max(line["relative errors"].values()) < bar
    assert len(found["throughput", "deterministic"]["images per second"]) > 0
    assert {phase for phase, _ in found} >= {"commands", "collectives", "step", "graph", "compiled"}

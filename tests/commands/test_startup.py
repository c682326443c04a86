"""What a command costs before it has anything to do, each in a process of its own."""

import json
import resource
import subprocess
import sys

import pytest

HEAVY = (
    "torch", "torchvision", "torchmetrics", "pytorch_lightning", "lightning_fabric", "matplotlib", "sklearn", "pandas",
)  # fmt: skip
SECONDS = 3.0
COMMANDS = ("train", "evaluate", "report", "compare", "export")
REFUSED = (["encodr=x"], ["weighting=mgad"])

LOADED = """
import json, sys
sys.argv = sys.argv[1:]
from gat_lightning.{module} import main
try:
    main()
except SystemExit as stop:
    print(json.dumps([stop.code, [name for name in {heavy} if name in sys.modules]]), file=sys.stderr)
"""


def loaded(module, arguments, cwd):
    """Exit status, and which heavy packages a command has imported."""
    code = LOADED.format(module=module, heavy=HEAVY)
    command = [sys.executable, "-c", code, module, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "module",
    ["train", *(pytest.param(name, marks=pytest.mark.slow) for name in [*COMMANDS, "demo"] if name != "train")],
)
def test_help_imports_no_heavy_package(module, tmp_path):
    assert loaded(module, ["--help"], tmp_path) == [0, []]


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_a_misspelt_option_is_refused_before_heavy_packages_are_imported(arguments, tmp_path):
    status, packages = loaded("train", arguments, tmp_path)
    assert status == 1
    assert packages == []


def test_a_value_out_of_its_range_is_refused_before_lightning_is_imported(tmp_path):
    status, packages = loaded("train", ["seed=-1"], tmp_path)
    assert status == 1
    assert "pytorch_lightning" not in packages
    assert "lightning_fabric" not in packages


@pytest.mark.parametrize("arguments", [["--help"], *REFUSED], ids=" ".join)
def test_processor_time_until_help_or_a_refusal(arguments, tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "gat_lightning.train", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == (arguments != ["--help"])
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime <= SECONDS


def test_help_lists_only_groups_that_a_user_of_the_command_chooses_from(tmp_path):
    command = [sys.executable, "-m", "gat_lightning.train", "--help"]
    text = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    listed = {line.partition(": ")[0] for line in text.splitlines() if ": " in line and not line.startswith(" ")}
    assert {"attack", "task", "weighting", "experiment", "experiment/paper"} <= listed
    assert "recipe" not in text
    assert not listed & {"hydra", "evaluation", "format"}

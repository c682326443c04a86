"""Sweeps of evaluations: what they ask of SLURM, what they list, and what they leave behind."""

from pathlib import Path

import pytest

from support.commands import command
from support.sweeps import sweep

BOTH = "checkpoint=a.ckpt,b.ckpt"


@pytest.mark.parametrize(
    ("device", "gpus"), [("cpu", False), ("auto", True), pytest.param("cuda", True, marks=pytest.mark.slow)]
)
def test_a_gpu_is_asked_for_where_one_is_used(hydra, slurm, device, gpus):
    pytest.importorskip("submitit")
    settings = ["hydra/launcher=slurm", "hydra.launcher.wait=false"]
    sweep([BOTH, f"device={device}"], *settings, command="evaluate")
    (script,) = (path.read_text() for path in Path("outputs/.submitit").glob("*.sh"))
    assert ("#SBATCH --gpus-per-node=1" in script) is gpus
    assert "#SBATCH --array=0-1%2" in script
    assert "#SBATCH --job-name=gat" in script


@pytest.mark.slow
def test_each_failure_is_listed_and_no_directory_is_left(tmp_path):
    done = command("-m", BOTH, "device=cpu", "data=digits", module="gat_lightning.evaluate", cwd=tmp_path)
    assert done.returncode == 1
    listed = [line.partition("Failed: ")[2] for line in done.stdout.splitlines() if "Failed: " in line]
    assert [line.partition(". ")[0] for line in listed] == [
        f"checkpoint={name}.ckpt: There is no checkpoint '{name}.ckpt'" for name in "ab"
    ]
    assert done.stderr.startswith("Error: 2 of 2 runs failed")
    assert [path.name for path in tmp_path.glob("outputs/*") if path.is_dir()] == [".sweeps"]

"""The paper's sweeps as commands, at the scale that shows that they run, and their reports."""

import json
from pathlib import Path

import numpy as np
import pytest

from support.commands import command
from support.paper_sweeps import OWN, XRAYS, axes

SHORTER = {
    "table1": ["task=none,macro", "seed=0"],
    "table4": ["task=none,macro"],
    "table8": ["task=macro"],
    "table9": ["task=none,macro"],
    "table12": ["task=macro"],
    "table13": ["task=macro"],
    "table16": ["task=macro"],
    "figure1": ["task=macro"],
    "table10": ["data.target=edema"],
    "figure6": ["data.target=atelectasis"],
}
"""Fewer values of an axis, where the others show all that can go wrong."""


@pytest.fixture
def xrays(tmp_path: Path) -> dict[str, Path]:
    pytest.importorskip("pandas", reason="needs gat-lightning[medical]")
    from support.xray_folders import chexpert_folder, nih_folder

    return {"table10": chexpert_folder(tmp_path / "chexpert"), "figure6": nih_folder(tmp_path / "nih")}


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_a_smoke_sweep_fills_the_table(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (64, 8, 8), dtype=np.uint8), generator.integers(0, 10, 64)
    np.savez(tmp_path / "extra.npz", image=images, label=labels)
    files = [f"paper.{key}={tmp_path / 'extra.npz'}" for key in ("extra", "generated")]
    root = [f"data.root={request.getfixturevalue('xrays')[name]}"] if name in XRAYS else []
    words = ["-m", f"experiment=paper/{name}", "paper.scale=smoke", "trainer.accelerator=cpu"]
    done = command(
        *words, *SHORTER.get(name, []), *files, *root, cwd=tmp_path, module="gat_lightning.train", timeout=1800
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    results = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/*/result.json")]
    assert results
    for result in results:
        assert result["status"] == "finished"
        paper = result["config"]["paper"]
        assert (paper["table"], paper["scale"]) == (name, "smoke")
        assert [word.partition("=")[0] for word in paper["row"]] == list(axes(name))
    assert len({tuple(result["config"]["paper"]["row"]) for result in results}) == len(results)
    report = command("runs=outputs", f"paper={name}", cwd=tmp_path, module="gat_lightning.report", timeout=1800)
    assert report.returncode == 0, report.stderr
    text = (tmp_path / "report" / "published.md").read_text(encoding="utf-8")
    trained_alone = name not in ("table16", "table17", "figure1")
    assert ("smoke: not comparable" in text) == trained_alone or name == "table14"


@pytest.mark.slow
def test_the_command_without_m_says_that_it_is_a_sweep(tmp_path: Path) -> None:
    done = command(
        "experiment=paper/table2", "paper.scale=smoke", cwd=tmp_path, module="gat_lightning.train", timeout=1800
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: experiment=paper/table2 is a sweep")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_dry_sweep_prints_a_table_for_each_job_and_trains_nothing(tmp_path: Path) -> None:
    words = ["-m", "experiment=paper/table8", "task=none", "data.fraction=0.1", "dry_run=true"]
    done = command(
        *words, "paper.scale=smoke", "trainer.accelerator=cpu", cwd=tmp_path, module="gat_lightning.train", timeout=1800
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("nothing was trained") == 2  # the fine-tuning, and the training before it
    assert "The 2 trainings: " in done.stdout
    assert "1 run on this machine: " in done.stdout
    assert not list((tmp_path / "outputs").iterdir())

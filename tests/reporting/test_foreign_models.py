"""``python -m gat_lightning.report`` on evaluations of models of whose training nothing is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.run_records import ATTACK, table, training, write


def foreign(folder: Path, name: str, checkpoint: str = "best", **config: Any) -> None:
    """An evaluation as of an export; ``result.json`` names the model as its file."""
    directory = folder / name
    directory.mkdir(parents=True)
    chosen = {"checkpoint": str(folder / f"task-macro/export/{checkpoint}.safetensors"), "model": None, "images": None}
    chosen |= {"evaluation": {"pgd20": {"attack": ATTACK}}, "attack": ATTACK, "batch_size": 128, **config}
    scores = {"test/clean/accuracy": 0.8, "test/pgd20/accuracy": 0.3}
    write(directory, config=chosen, trained=None, metrics={checkpoint: scores}, images=360)


def trainings(folder: Path) -> None:
    for task in ("macro", "none"):
        typed = ["experiment=quickstart", f"task={task}"]
        training(folder, f"task-{task}", typed=typed, task=task, weighting={"_target_": "w.MGDA"})


def test_an_export_is_a_row_by_its_file_and_changes_no_other_name(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    trainings(runs)
    foreign(runs, "best-pgd20")
    foreign(runs, "exported-pgd20", "exported")
    rows = {row[0]: row[2:] for row in table(tmp_path)[1:]}
    assert list(rows) == [
        "task=macro", "task=none", "task=macro (export/best.safetensors)", "task=macro (export/exported.safetensors)",
    ]  # fmt: skip
    assert rows["task=macro (export/exported.safetensors)"] == ["80.0", "30.0"]


def test_evaluations_of_one_export_are_one_row(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    trainings(runs)
    foreign(runs, "a")
    foreign(runs, "b", batch_size=64)
    labels = [row[0] for row in table(tmp_path)[1:]]
    assert labels == ["task=macro", "task=none", "task=macro (export/best.safetensors)"]


def test_a_model_of_a_function_is_named_by_it_and_by_what_differs(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    trainings(runs)
    for name, weights in (("a", "a.pt"), ("b", "b.pt")):
        foreign(runs, name, checkpoint="model", model={"_target_": "torchvision.models.resnet18"}, weights=weights)
    for name in ("a", "b"):
        path = runs / name / "result.json"
        path.write_text(path.read_text().replace(f'"{runs}/task-macro/export/model.safetensors"', "null"))
    labels = {row[0] for row in table(tmp_path)[1:]}
    assert labels == {"resnet18 weights=a.pt", "resnet18 weights=b.pt", "task=macro", "task=none"}

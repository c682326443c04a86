"""A report on evaluations that were moved together with their trainings."""

import shutil
from pathlib import Path

from gat_lightning.reporting.records import collect
from support.run_records import ATTACK, evaluation, training


def test_an_evaluation_knows_what_was_typed_for_its_training(tmp_path: Path) -> None:
    runs, moved = tmp_path / "runs", tmp_path / "elsewhere" / "runs"
    for task in ("none", "macro"):
        evaluation(training(runs, task, typed=[f"task={task}"]), "pgd20", 0.4, pgd20=ATTACK)

    def typed(folder: Path) -> dict[str, tuple[str, ...] | None]:
        return {record.directory.name: record.overrides for record in collect([folder])[0]}

    before = typed(runs)
    assert before == {f"{task}{end}": (f"task={task}",) for task in ("none", "macro") for end in ("", "-pgd20")}
    shutil.copytree(runs, moved)
    shutil.rmtree(runs)
    assert typed(moved) == before

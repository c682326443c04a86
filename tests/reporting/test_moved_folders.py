"""A report on evaluations that were moved together with their trainings."""

import shutil
from pathlib import Path

from gat_lightning.reporting.groups import group
from gat_lightning.reporting.records import collect
from gat_lightning.runs.metric_names import MetricName
from support.run_records import ATTACK, evaluation, training


def test_an_evaluation_knows_what_was_typed_for_its_training(tmp_path: Path) -> None:
    runs, moved = tmp_path / "runs", tmp_path / "elsewhere" / "runs"
    for task in ("none", "macro"):
        run = training(runs, task, typed=[f"task={task}"])
        evaluation(run, "pgd20", 0.4, pgd20=ATTACK)
        inside = evaluation(run, "fgsm", 0.5, fgsm=ATTACK)
        (run / "evaluations").mkdir()
        inside.rename(run / "evaluations" / inside.name)

    def typed(folder: Path) -> dict[str, tuple[str, ...] | None]:
        return {record.directory.name: record.overrides for record in collect([folder])[0]}

    before = typed(runs)
    assert before == {
        f"{task}{end}": (f"task={task}",) for task in ("none", "macro") for end in ("", "-pgd20", "-fgsm")
    }
    shutil.copytree(runs, moved)
    shutil.rmtree(runs)
    assert typed(moved) == before


def test_the_scores_of_an_evaluation_in_a_run_are_in_the_row_of_its_training(tmp_path: Path) -> None:
    for task, accuracy in (("none", 0.25), ("macro", 0.5)):
        run = training(tmp_path / "runs", task, typed=[f"task={task}"], task={task: {}} if task != "none" else {})
        inside = evaluation(run, "square", accuracy, square=ATTACK)
        (run / "evaluations").mkdir()
        inside.rename(run / "evaluations" / "square-0123abcd")
    records, unusable = collect([tmp_path / "runs"])
    assert (len(records), unusable) == (4, [])
    found = {each.label: each.values(MetricName("test", "square", "accuracy"), "best") for each in group(records)}
    assert found == {"task=none": {0: 0.25}, "task=macro": {0: 0.5}}

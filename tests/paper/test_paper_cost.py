"""What a run of the paper would cost: passes, steps and time."""

import re
from pathlib import Path

import pytest
from hydra import compose

from gat_lightning.commands.dry_run import passes
from gat_lightning.commands.dry_run.estimate import estimate, measure
from gat_lightning.config.length import count_steps
from gat_lightning.runs.telling import duration
from support.paper_sweeps import composed

CHEAP = (
    "paper.scale=smoke",
    "recipe/stand_in=digits",
    "trainer.accelerator=cpu",
    "data.batch_size=16",
    "validation.images=16",
    "attack.steps=3",
)


@pytest.mark.filterwarnings("ignore:The .srun. command is available")
def test_the_cost_counts_the_passes_that_are_made() -> None:
    config = composed("table2", *CHEAP, "trainer.max_epochs=40", "task=macro+rotation", "data.fraction=0.2")
    cost = measure(config, "job")
    assert cost.attack_passes == 3
    assert cost.forward_passes == 2
    assert (cost.objectives, cost.curvature) == (3 + 2, 2)
    images = round(0.9 * 0.2 * (1797 - 360))
    assert cost.steps == 40 * -(-images // 16) or cost.steps == 40 * -(-(images + 1) // 16)
    assert cost.training_seconds == pytest.approx(cost.steps * cost.step_seconds)
    assert cost.scoring_seconds > 0
    assert cost.seconds == cost.training_seconds + cost.scoring_seconds


@pytest.mark.filterwarnings("ignore:The .srun. command is available")
def test_replays_and_missing_attacks_are_counted() -> None:
    overrides = (*CHEAP, "task=none", "trainer.max_epochs=1")
    standard = measure(composed("table17", *overrides), "job")
    assert (standard.attack_passes, standard.forward_passes, standard.objectives) == (0, 1, 1)
    free = measure(composed("table17", *overrides, "method=free", "method.replays=4"), "job")
    assert free.objectives == 4
    assert free.attack_passes + free.forward_passes >= 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .srun. command is available")
def test_steps_that_solve_nothing_and_second_passes_are_counted() -> None:
    overrides = (*CHEAP, "task=macro+rotation", "trainer.max_epochs=1")
    cycle = measure(composed("table2", *overrides, "engine.solve_every=3", "curvature.every=6"), "job")
    assert cycle.measured == 6
    assert (cycle.attack_passes, cycle.forward_passes) == (3, 2)
    assert (cycle.objectives, cycle.curvature) == (pytest.approx((5 + 1 + 1 + 3 + 1 + 1) / 6), pytest.approx(2 / 6))
    famo = measure(composed("table2", *overrides, "weighting=famo"), "job")
    assert (famo.attack_passes, famo.forward_passes, famo.objectives, famo.curvature) == (3, 4, 1, 2)


@pytest.mark.parametrize(("every", "steps"), [((), 1), (("engine.solve_every=3", "curvature.every=3"), 3)])
@pytest.mark.filterwarnings("ignore:The .srun. command is available")
def test_slow_steps_are_not_repeated_but_for_a_whole_cycle(
    monkeypatch: pytest.MonkeyPatch, every: tuple[str, ...], steps: int
) -> None:
    overrides = (*CHEAP, "task=macro", "trainer.max_epochs=2")
    whole = measure(composed("table2", *overrides, *every), "job")
    assert whole.measured == (6 if every else 5)
    monkeypatch.setattr(passes, "ENOUGH", 0.0)
    few = measure(composed("table2", *overrides, *every), "job")
    assert (few.measured, few.steps, few.curvature) == (steps, whole.steps, whole.curvature)
    assert few.scoring_seconds > 0


def test_steps_follow_from_epochs_and_limits() -> None:
    def steps(*overrides: str, replays: int = 1) -> int:
        config = compose("train", ["data=digits", "paths.run=run", "trainer.max_epochs=3", *overrides])
        return count_steps(config, 10, replays)

    assert steps() == 30
    assert steps("+trainer.limit_train_batches=4") == 12
    assert steps("+trainer.limit_train_batches=0.5") == 15
    assert steps("+trainer.max_steps=7") == 7
    assert steps("+trainer.max_steps=7", replays=4) == 2
    assert steps(replays=4) == 30


@pytest.mark.filterwarnings("ignore:The .srun. command is available")
def test_a_dry_run_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("seed: 0\n")
    (tmp_path / "mine.txt").write_text("kept")
    config = compose(
        "train", ["experiment=quickstart", *CHEAP[2:], "task=none", f"paths.run={tmp_path}", "dry_run=true"]
    )
    (cost,) = estimate(config)
    assert cost.steps > 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    shown = capsys.readouterr().out
    assert "nothing was trained" in shown
    numbers = {name: value.strip() for name, value in re.findall(r"│ ([a-z() G]+?i?B?\)?) +│ (.+?) +│", shown)}
    assert numbers["steps"] == f"{cost.steps:,}"
    assert numbers["training"] == duration(cost.training_seconds)
    assert numbers["validation and test"] == duration(cost.scoring_seconds)
    assert numbers["in all"] == duration(cost.seconds)
    assert cost.largest_batch is None
    assert "largest batch" not in shown
    assert cost.peak_gib is not None
    assert 0.1 < cost.peak_gib < 24
    assert numbers["peak memory (GiB)"] == f"{cost.peak_gib:.2g}"

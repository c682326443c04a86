"""The debug presets do what they are for, and their runs are not taken for real ones."""

import json

import pytest

from gat_lightning.config.files import plain
from gat_lightning.runs.hashing import configuration_hash
from support.configurations import composed
from support.training_runs import MEASURED, rows, trained


def quickstart_with(*overrides):
    return composed("train", "experiment=quickstart", "paths.run=run", *overrides)


def test_no_preset_is_taken_for_the_real_run():
    real = configuration_hash(quickstart_with())
    presets = [quickstart_with(f"debug={name}") for name in ("fast", "overfit", "anomaly", "profile")]
    assert len({real, *map(configuration_hash, presets)}) == 5
    for preset in presets:
        assert preset.paths.output == "outputs/debug"
    assert [plain(preset)["debug"] for preset in presets] == ["fast", "overfit", "anomaly", "profile"]


def test_fast_sees_two_batches_and_finishes(tmp_path):
    result = trained(tmp_path, "debug=fast", "trainer.max_epochs=1")
    assert json.loads((tmp_path / "result.json").read_text())["config"]["debug"] == "fast"
    assert result["status"] == "finished"
    assert len([row for row in rows(tmp_path) if row["weight/class/adv"]]) == 2
    for scores in result["metrics"].values():
        right = scores["test/clean/accuracy"] * 64
        assert right == pytest.approx(round(right), abs=1e-4)


@pytest.mark.slow
def test_overfit_drives_the_losses_to_zero(tmp_path):
    trained(tmp_path, "debug=overfit", "trainer.max_epochs=100", "encoder.width=8")
    steps = [row for row in rows(tmp_path) if row["weight/class/adv"]]
    assert len(steps) == 100
    for objective in ("class/clean", "class/adv", "macro/clean", "macro/adv"):
        losses = [float(row[f"objective/{objective}"]) for row in steps]
        assert losses[0] > 0.4
        assert losses[-1] < 0.02 * losses[0]


@pytest.mark.slow
def test_profile_says_where_it_is(tmp_path, capsys):
    result = trained(tmp_path, "debug=profile", "trainer.max_epochs=1")
    assert result["files"]["profiles"] == ["fit-profile.txt", "test-profile.txt"]
    printed = capsys.readouterr().out.splitlines()
    for name in result["files"]["profiles"]:
        assert f"Profile: {tmp_path / name}" in printed
    report = (tmp_path / "fit-profile.txt").read_text()
    assert "training_step" in report
    assert "optimizer_step" in report


@pytest.mark.slow
def test_anomaly_leaves_a_sound_run_alone_and_names_the_operation_of_a_nan(tmp_path):
    trained(tmp_path / "sound", "debug=anomaly", "trainer.max_epochs=1")
    trained(tmp_path / "plain", "trainer.max_epochs=1")
    sound, without = (
        [{name: value for name, value in row.items() if name not in MEASURED} for row in rows(tmp_path / name)]
        for name in ("sound", "plain")
    )
    assert sound == without
    with pytest.warns(UserWarning, match="Error detected in"), pytest.raises(RuntimeError, match="returned nan values"):
        trained(tmp_path / "nan", "debug=anomaly", "optimizer.lr=1e30", "weighting=equal", "task=none")

"""Trainings with ``unlabeled.mode=consistency``."""

import pytest

from gat_lightning.config.build import build_data, build_module
from gat_lightning.config.check import check
from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.errors import UserError
from gat_lightning.methods import Consistency, Madry
from support.interrupting import interrupt
from support.training_runs import SHORT, equal, leave_out_picture, rows, tiny, trained
from support.xray_folders import chexpert_folder

REST = ("data.unlabeled=rest", "unlabeled.mode=consistency", "data.fraction=0.05")
COLUMNS = ("objective/class/consistency", "coefficient/class/consistency")


def test_settings_reach_the_method(tmp_path):
    settings = {"coefficient": 2.5, "ramp": 0.5, "detach": True, "images": "all"}
    config = tiny(tmp_path, *REST, *(f"unlabeled.{name}={value}" for name, value in settings.items()))
    method = build_module(config, build_data(config).info).method
    assert isinstance(method, Consistency)
    assert (method.coefficient, method.ramp, method.detach) == (2.5, 0.5, True)
    expected = Consistency(Madry(), **settings)
    assert {key: value for key, value in vars(method).items() if key != "method"} == {
        key: value for key, value in vars(expected).items() if key != "method"
    }


@pytest.mark.parametrize("mode", ["auto", "off", "pseudo_label"])
def test_other_modes_have_the_method_alone(tmp_path, mode):
    config = tiny(tmp_path, *REST, f"unlabeled.mode={mode}")
    assert type(build_module(config, build_data(config).info).method) is Madry


@pytest.mark.parametrize("mode", ["consistency", "both"])
def test_a_method_without_adversarial_images_is_refused(tmp_path, mode):
    config = tiny(tmp_path, *REST, f"unlabeled.mode={mode}", "method=standard")
    with pytest.raises(
        UserError, match=f"unlabeled.mode={mode} compares .*method=standard makes none of these"
    ) as error:
        check(config)
    assert "\n" not in str(error.value)


def test_a_run_without_such_images_ends_before_its_first_step(tmp_path):
    with pytest.raises(UserError, match="all training images have the label 'class'"):
        trained(tmp_path / "run", "unlabeled.mode=consistency")
    assert not any((tmp_path / "run").glob("checkpoints/*.ckpt"))


def test_all_images_need_none_without_a_label(tmp_path, monkeypatch):
    leave_out_picture(monkeypatch)
    settings = ["unlabeled.mode=consistency", "unlabeled.images=all", "unlabeled.ramp=0", "curvature.mode=off", *SHORT]
    trained(tmp_path / "run", *settings)
    assert min(float(row[name]) for row in rows(tmp_path / "run") for name in COLUMNS if row[name]) > 0


def test_a_table_with_blanks_in_the_target_trains(tmp_path, monkeypatch):
    """A quarter of the images has no label of it."""
    leave_out_picture(monkeypatch)
    root = chexpert_folder(tmp_path / "data")
    size = [f"data.root={root}", "data.size=8", "data.batch_size=16", "data.fraction=1", "data.per_patient=all"]
    result = trained(
        tmp_path / "run", "data=chexpert", "task=none", "method=madry", "weighting=mgda", *size,
        "unlabeled.mode=consistency", "unlabeled.ramp=0", "data.workers=0", "trainer.max_epochs=1",
    )  # fmt: skip
    assert result["status"] == "finished"
    found = [row for row in rows(tmp_path / "run") if row["objective/edema/consistency"]]
    assert found
    for row in found:
        assert float(row["objective/edema/consistency"]) > 0
        assert float(row["coefficient/edema/consistency"]) == pytest.approx(3 * float(row["weight/edema/clean+adv"]))
    assert not any("consistency" in name for name in found[0] if name.startswith(("weight/", "norm/", "cosine/")))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["madry", "trades", "free"])
def test_an_interrupted_run_ends_as_the_one_that_nobody_touched(tmp_path, monkeypatch, method):
    leave_out_picture(monkeypatch)
    settings = [*REST, f"method={method}", "trainer.max_epochs=2", "data.epoch_images=320", "unlabeled.ramp=0.9"]
    trained(tmp_path / "whole", *settings)
    interrupt(tmp_path / "stopped", *settings, epoch=1, batch=2)
    trained(tmp_path / "stopped", *settings, "resume=auto")
    columns = [[[row[name] for name in COLUMNS] for row in rows(tmp_path / run)] for run in ("whole", "stopped")]
    assert columns[0] == columns[1]
    whole, stopped = (load_checkpoint(tmp_path / run / "checkpoints" / "last.ckpt") for run in ("whole", "stopped"))
    assert equal(whole["state_dict"], stopped["state_dict"])

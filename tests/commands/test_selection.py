"""The best checkpoint is not praised where the validation could not tell epochs apart."""

import pytest

from gat_lightning.commands.train.selection import doubt, scores_of
from gat_lightning.runs.layout import RunDirectory
from support.training_runs import SHORT, trained


@pytest.mark.parametrize(
    ("scores", "images", "limit"),
    [([0.1, 0.2], 50, None), ([0.1, 0.2], 500, 50), ([0.0], 4, None), ([], 4, None), ([0.1, 0.1, 0.2], 60, 1024)],
)
def test_enough_images_or_no_choice_need_no_warning(scores, images, limit):
    assert doubt(scores, images, limit) is None


def test_few_images():
    remedy = "Use more of them by data.val_fraction=..., or use last.ckpt."
    assert doubt([0.1, 0.2], 49, 1024) == f"best.ckpt was chosen by 49 validation images. {remedy}"
    message = doubt([0.1, 0.2], 900, 16)
    assert message.startswith("best.ckpt was chosen by 16 validation images. Use more of them by validation.images=")


def test_a_score_that_never_moved():
    message = doubt([0.0, 0.0, 0.0], 144, 1024)
    assert "by 144 validation images. The score never changed (0); the first epoch was kept." in message


@pytest.mark.usefixtures("undrawn")
def test_a_run_warns_once(tmp_path, caplog):
    settings = [*SHORT, "trainer.max_epochs=2", "data.fraction=0.1", "task=none", "weighting=equal"]
    trained(tmp_path, *settings, "validation.images=4")
    warned = [record.message for record in caplog.records if "best.ckpt" in record.message]
    assert len(warned) == 1
    assert "by 4 validation images" in warned[0]
    assert len(scores_of(RunDirectory(tmp_path).history())) == 2

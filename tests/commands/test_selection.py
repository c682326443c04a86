"""The best checkpoint is not praised where the validation could not tell epochs apart."""

import pytest
import torch

from gat_lightning.commands.train.divergence import divergence
from gat_lightning.commands.train.selection import doubt, scores_of
from gat_lightning.runs.layout import RunDirectory
from support.training_runs import SHORT, trained

NAN = float("nan")


def labels(labelled, images=None):
    """So many labelled images, evenly spread among others."""
    images = images or labelled
    label = torch.full((images,), -1)
    label[torch.arange(labelled) * images // max(labelled, 1)] = 1
    return label


@pytest.mark.parametrize(
    ("scores", "images", "limit"),
    [([0.1, 0.2], 50, None), ([0.1, 0.2], 500, 50), ([0.0], 4, None), ([], 4, None), ([0.1, NAN, 0.2], 60, 1024)],
)
def test_enough_images_or_no_choice_need_no_warning(scores, images, limit):
    assert doubt(scores, labels(images), limit) is None


def test_few_images():
    remedy = "Use more of them by data.val_fraction=..., or use last.ckpt."
    assert doubt([0.1, 0.2], labels(49), 1024) == f"best.ckpt was chosen by 49 validation images. {remedy}"
    message = doubt([0.1, 0.2], labels(900), 16)
    assert message.startswith("best.ckpt was chosen by 16 validation images. Use more of them by validation.images=")


def test_few_labelled_images():
    """Most images of a chest X-ray data set may lack the target's label."""
    message = doubt([0.1, 0.2], labels(24, 1154), None)
    assert message.startswith("best.ckpt was chosen by the 24 labelled of 1,154 validation images. Use more of them by")
    assert "the 12 labelled of 577 validation images. Use more of them by validation.images" in doubt(
        [0.1, 0.2], labels(24, 1154), 577
    )
    assert doubt([0.1, 0.2], labels(50, 1154), None) is None


def test_a_score_that_never_moved():
    message = doubt([0.0, 0.0, 0.0], labels(144), 1024)
    assert "by 144 validation images. The score never changed (0); the first epoch was kept." in message
    assert "The score never changed (0.3)" in doubt([NAN, 0.3, NAN, 0.3], labels(144), None)


def test_no_score_chooses_nothing():
    assert doubt([NAN, NAN], labels(144), None).startswith(
        "There is no best.ckpt, since the validation score was undef"
    )


@pytest.mark.parametrize(
    ("metric", "scores", "figures"),
    [
        ("auroc", [0.551, 0.50, 0.02], "auroc fell from 55.1% to 2.0% at the end"),
        ("auroc", [0.7, 0.8, 0.49], "auroc fell from 80.0% to 49.0% at the end"),
        ("accuracy", [0.3, NAN, 0.1, NAN], "accuracy fell from 30.0% to 10.0% at the end"),
        ("mae", [-4.0, -3.0, -7.0], "mae rose from 3 to 7 at the end"),
    ],
)
def test_a_training_that_diverged(metric, scores, figures):
    message = divergence(scores, metric)
    assert message.startswith(f"The training diverged: its validation {figures}.")
    assert "optimizer.lr" in message


@pytest.mark.parametrize(
    ("metric", "scores"),
    [
        ("auroc", [0.02]), ("auroc", [0.52, 0.49]), ("auroc", [0.8, 0.6]), ("accuracy", [0.5, 0.42]),
        ("accuracy", [0.04, 0.0]), ("accuracy", [0.1, 0.5]), ("mae", [-4, -7]), ("mae", []), ("accuracy", [NAN, NAN]),
    ],
)  # fmt: skip
def test_noise_and_overfitting_are_no_divergence(metric, scores):
    assert divergence(scores, metric) is None


@pytest.mark.usefixtures("undrawn")
def test_a_run_warns_once(tmp_path, caplog):
    settings = [*SHORT, "trainer.max_epochs=2", "data.fraction=0.1", "task=none", "weighting=equal"]
    trained(tmp_path, *settings, "validation.images=4")
    warned = [record.message for record in caplog.records if "best.ckpt" in record.message]
    assert len(warned) == 1
    assert "by 4 validation images" in warned[0]
    assert len(scores_of(RunDirectory(tmp_path).history())) == 2

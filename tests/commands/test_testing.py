"""What a training says of its test scores."""

import pytest

from gat_lightning.commands.train.testing import CheckpointScores, refuse_non_finite
from gat_lightning.errors import UserError
from gat_lightning.evaluation.doubts import OutputCheck
from gat_lightning.training.validation import Scoring
from support.training_runs import SHORT, trained


def scores(checks):
    return CheckpointScores({}, checks, {}, None)


ONE_CLASS = OutputCheck(64, 0, [64, *[0] * 9], [4, *[6] * 9, 6])


@pytest.mark.usefixtures("undrawn")
def test_a_model_that_says_one_class_of_all_images(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(Scoring, "checks", lambda self: {"clean": ONE_CLASS, "pgd2": ONE_CLASS})
    result = trained(tmp_path, *SHORT, "task=none", "weighting=equal")
    said = [message for message in caplog.messages if "classified as" in message]
    sentence = "test/clean: all 64 images are classified as '0', which is the label of 6.2% of them."
    assert said == [f"{name}.ckpt, {sentence}" for name in ("best", "last")]
    assert result["checks"]["best"]["pgd2"] == {"images": 64, "non_finite": 0, "zero_gradient": None}


def test_only_sound_checkpoints_are_recommended():
    sound, spoilt = OutputCheck(9, 0, [], []), OutputCheck(9, 2, [], [])
    tested = scores({"best": {"clean": sound, "pgd": sound}, "last": {"clean": sound, "pgd": spoilt}})
    with pytest.raises(UserError, match=r"2 of 9 test outputs of last\.ckpt.* without such outputs: best\.ckpt\.$"):
        refuse_non_finite(tested)
    refuse_non_finite(scores({"best": {"clean": sound}}))

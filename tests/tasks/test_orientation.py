import pytest

from gat_lightning.data import Digits
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.tasks import Classification, Jigsaw, Rotation, warn_of_lost_orientation

PLAIN = DataInfo("toy", (1, 8, 8), (0.5,), (0.5,), {"class": LabelInfo(("a", "b"))})


@pytest.mark.parametrize(
    ("info", "tasks", "separate", "warned"),
    [
        (Digits().info, [Rotation()], False, True),
        (Digits().info, [Rotation()], True, False),
        (Digits().info, [Jigsaw()], False, False),
        (PLAIN, [Rotation()], False, False),
    ],
)
def test_turning_what_must_not_be_turned_is_said_once(info, tasks, separate, warned, caplog):
    warn_of_lost_orientation(info, [Classification("class"), *tasks], separate)
    messages = [record.message for record in caplog.records]
    assert len(messages) == warned
    if warned:
        assert messages[0].startswith("task=rotation turns the images")
        assert "a 6 cannot be told from a 9; data.views=separate" in messages[0]

"""Names of objectives, read and written in one place."""

import pytest

from gat_lightning.weighting.objective_names import ObjectiveName


@pytest.mark.parametrize(
    ("text", "task", "view", "is_adversarial"),
    [
        ("class/clean", "class", "clean", False),
        ("class/adv", "class", "adv", True),
        ("class/clean+adv", "class", "clean+adv", True),
        ("edema/kl", "edema", "kl", True),
        ("macro/curvature", "macro", "curvature", False),
        ("class/adv+rotation", "class", "adv+rotation", True),
    ],
)
def test_a_name_is_read_as_it_is_written(text, task, view, is_adversarial):
    name = ObjectiveName.parse(text)
    assert name == (task, view)
    assert str(name) == text
    assert name.is_adversarial is is_adversarial


def test_a_name_of_a_users_own_is_of_no_view():
    assert not ObjectiveName.parse("reconstruction").is_adversarial

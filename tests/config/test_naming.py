"""Errors of the library at the command line: they begin with the setting that has to be changed, as it is typed."""

import pytest
from omegaconf import OmegaConf

from gat_lightning.attacks import PGD
from gat_lightning.config.check import check
from gat_lightning.config.naming import naming
from gat_lightning.errors import SettingError, UserError
from support import configurations

CONFIG = OmegaConf.create(
    {"data": {"eps": "8/255"}, "attack": {"eps": "${data.eps}", "steps": 10}, "method": {"eps": "${attack.eps}"}}
)


@pytest.mark.parametrize(
    ("path", "argument", "setting"),
    [
        ("attack", "steps", "attack.steps"),
        ("attack", "eps", "data.eps"),
        ("method", "eps", "data.eps"),
        ("weighting", "floor.class/adv", "weighting.floor.class/adv"),
    ],
)
def test_an_argument_becomes_the_setting_that_it_takes_its_value_from(path, argument, setting):
    with pytest.raises(UserError) as caught, naming(CONFIG, path):
        raise SettingError(argument, 0, "a number above 0", also=(None,))
    assert str(caught.value) == f"{setting}=0: it must be null or a number above 0."


def test_a_combination_is_said_with_its_node():
    refused = pytest.raises(UserError, match=r"^validation\.attack: restarts=2 needs random_start")
    with refused, naming(CONFIG, "validation.attack"):
        PGD(restarts=2, random_start="none")


def test_an_error_for_the_user_stays_as_it_is_and_a_fault_of_the_program_too():
    with pytest.raises(UserError, match=r"^no such file$"), naming(CONFIG, "data"):
        raise UserError("no such file")
    with pytest.raises(KeyError), naming(CONFIG, "data"):
        raise KeyError("a bug")


@pytest.mark.parametrize(
    ("overrides", "beginning"),
    [
        (["attack.steps=0"], "attack.steps=0: "),
        (["validation.attack.steps=0"], "validation.attack.steps=0: "),
        (["+attack@test.also.more.attack=pgd", "test.also.more.attack.norm=L3"], "test.also.more.attack.norm='L3': "),
        (["data.eps=-1"], "data.eps=-1: "),
        (["method=trades", "weighting=equal", "attack.eps=0.1", "attack.steps=-3"], "attack.steps=-3: "),
        (["method=trades", "weighting=equal", "method.beta=-1"], "method.beta=-1: "),
        (["augment=standard", "data.crop_padding=-1"], "data.crop_padding=-1: "),
        (["augment=cutmix", "augment.alpha=0"], "augment.alpha=0: "),
        (["weighting=mgda", "weighting.floor={class/adv: 2}"], "weighting.floor.class/adv=2: "),
        (["schedule=multistep", "schedule.gamma=0"], "schedule.gamma=0: "),
        (["engine.clip_norm=0"], "engine.clip_norm=0: "),
        (["task=jigsaw", "task.jigsaw.grid=1"], "task.jigsaw.grid=1: "),
        (["curvature.mode=objective", "task=macro", "engine.space=representation"], "curvature: mode=objective needs "),
    ],
    ids=" ".join,
)
def test_settings_of_a_training(overrides, beginning, tmp_path):
    config = configurations.composed("train", "data=digits", f"paths.run={tmp_path}", *overrides)
    with pytest.raises(UserError) as caught:
        check(config)
    assert str(caught.value).startswith(beginning)

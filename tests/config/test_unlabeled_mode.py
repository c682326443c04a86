"""What ``unlabeled.mode=auto`` becomes, and which settings of ``unlabeled`` are refused."""

import pytest
from omegaconf import OmegaConf

from gat_lightning.config.build import build_data
from gat_lightning.config.check import check
from gat_lightning.config.unlabeled import unlabeled_mode
from gat_lightning.errors import UserError
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.runs.hashing import configuration_hash
from support.configurations import composed

REST = ("data.unlabeled=rest", "data.fraction=0.1")
X_RAYS = DataInfo(
    "x-rays",
    (1, 8, 8),
    (0.5,),
    (0.5,),
    {"age": LabelInfo((), "regression"), "mass": LabelInfo(("no", "yes"), "binary")},
)


def digits(*words):
    return composed("train", "experiment=quickstart", "paths.run=run", *words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "off"),
        (REST, "pseudo_label (data.unlabeled is given)"),
        (("data.unlabeled=false",), "off"),
        ((*REST, "unlabeled.mode=off"), "off"),
        (("unlabeled.mode=both",), "both"),
        (("unlabeled.mode=consistency",), "consistency"),
        ((*REST, "data.target=none", "task=rotation"), "off (the target has no classes to be labelled with)"),
    ],
)
def test_modes(words, expected):
    config = digits(*words)
    mode = unlabeled_mode(config, build_data(config).info)
    assert str(mode) == expected
    assert mode.labels == expected.startswith(("pseudo", "both"))
    assert mode.consistency == expected.startswith(("consistency", "both"))


@pytest.mark.parametrize(
    ("target", "mode", "expected"),
    [("mass", "auto", "pseudo_label"), ("age", "auto", "off"), ("age", "consistency", "consistency")],
)
def test_modes_by_kind_of_target(target, mode, expected):
    assert unlabeled_mode(digits(*REST, f"data.target={target}", f"unlabeled.mode={mode}"), X_RAYS).name == expected


@pytest.mark.parametrize("mode", ["pseudo_label", "both"])
def test_a_number_is_not_labelled_by_a_teacher(mode):
    with pytest.raises(UserError, match=r"'age' is a number.*unlabeled.mode=consistency or off"):
        unlabeled_mode(digits(*REST, "data.target=age", f"unlabeled.mode={mode}"), X_RAYS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["unlabeled.mode=pseudo"], "unlabeled.mode"),
        (["unlabeled.images=some"], "unlabeled.images"),
        (["unlabeled.weight=0"], "unlabeled.weight"),
        (["unlabeled.confidence=1.5"], "unlabeled.confidence"),
        (["unlabeled.teacher_epochs=0"], "unlabeled.teacher_epochs"),
        (["unlabeled.teacher=null"], "unlabeled.teacher"),
        (["unlabeled.teacher={model: resnet}"], "unlabeled.teacher"),
        (["unlabeled.teacher={model: {_target_: f}, checkpoint: a}"], "unlabeled.teacher"),
        ([*REST, "unlabeled.teacher=ema"], r"callbacks=default\+ema: set that"),
        (["unlabeled.mode=both", "unlabeled.teacher=ema"], r"callbacks=default\+ema: set that"),
        (
            [*REST, "unlabeled.teacher=gone/run"],
            r"unlabeled.teacher=gone/run: there is no such checkpoint or run directory",
        ),
        ([*REST, "unlabeled.teacher=standart"], r"unlabeled.teacher=standart: .*; did you mean standard\?"),
        ([*REST, "unlabeled.soft=true", "method=mart"], "method Mart compares classes.*unlabeled.soft=false"),
        ([*REST, "unlabeled.soft=true", "method=fat"], "method Friendly compares classes"),
        ([*REST, "unlabeled.soft=true", "attack.loss=margin"], "attack's loss 'margin' compares classes"),
    ],
)
def test_refused(words, message):
    with pytest.raises(UserError, match=message):
        check(digits(*words))


@pytest.mark.parametrize(
    "words",
    [
        (*REST, "unlabeled.teacher=ema", "callbacks=default+ema"),
        (*REST, "unlabeled.soft=true", "method=standard", "attack.loss=margin", "weighting=equal"),
        ("unlabeled.soft=true", "method=mart"),
        (*REST, "unlabeled.teacher={model: {_target_: torchvision.models.resnet18}, weights: w.pt}"),
    ],
)
def test_accepted(words):
    check(digits(*words))


def test_hash():
    """It is that of earlier versions at the defaults alone."""
    config = digits()
    found = configuration_hash(config)
    plain = OmegaConf.masked_copy(config, [key for key in config if key != "unlabeled"])
    assert found == configuration_hash(plain)
    config.data.unlabeled = False
    assert configuration_hash(config) == found
    config.unlabeled.mode = "auto"
    assert configuration_hash(config) == found
    config.unlabeled.mode = "off"
    assert configuration_hash(config) != found

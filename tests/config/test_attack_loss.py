"""``attack.loss`` is refused before training where it is not defined."""

import pytest

from gat_lightning.config.build import build_data, build_module
from gat_lightning.config.check import check
from gat_lightning.errors import UserError
from support.configurations import composed
from support.training_runs import tiny


def built(directory, *overrides):
    config = tiny(directory, "weighting=equal", "curvature.mode=off", *overrides)
    check(config)
    return build_module(config, build_data(config).info)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["task=autoencoder", "attack.tasks=all", "attack.loss=margin"],
            "attack.loss='margin': it must be null or left out: the attacked task 'autoencoder' is dense and has no"
            " classes.",
        ),
        (
            ["task=autoencoder+rotation", "method=self_supervised", "attack.loss=dlr"],
            "attack.loss='dlr': it must be null or left out: the attacked task 'autoencoder' is dense and has no"
            " classes.",
        ),
        (
            ["data.target=macro", "task=none", "test.attack.loss=dlr"],
            "test.attack.loss='dlr': it must be null or margin: DLR compares 3 classes, and the attacked task 'macro'"
            " has 2.",
        ),
        (
            ["task=macro", "attack.tasks=auxiliary", "method=mart", "attack.loss=dlr"],
            "attack.loss='dlr': it must be null or margin: DLR compares 3 classes, and the attacked task 'macro' has",
        ),
        (["attack.loss=hinge"], "attack.loss='hinge': it must be null or one of: margin, dlr."),
    ],
)
def test_a_loss_that_is_not_defined_is_refused(tmp_path, overrides, message):
    with pytest.raises(UserError) as refusal:
        built(tmp_path, *overrides)
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize("node", ["attack", "validation.attack"])
def test_an_attack_without_a_choice_of_loss_refuses_one(tmp_path, node):
    chosen = f"attack@{node}=square" if "." in node else "attack=square"
    config = composed("train", "data=digits", f"paths.run={tmp_path}", chosen, f"+{node}.loss=margin")
    with pytest.raises(UserError, match=rf"^{node}.loss: Square has no such setting"):
        check(config)


def test_a_loss_reaches_the_attacks_of_training_validation_and_test(tmp_path):
    scored = ("validation.attack.loss=dlr", "test.attack.loss=dlr")
    module = built(tmp_path, "task=macro", "attack.tasks=all", "attack.loss=margin", *scored)
    assert module.attack.loss == "margin"
    names = [name for split in ("val", "test") for name in module.attacks[split]]
    assert [name.endswith("-dlr") for name in names] == [True, True]


@pytest.mark.parametrize("method", ["mart", "fat", "fast", "fgsm"])
def test_a_loss_reaches_the_attack_of_a_method(tmp_path, method):
    assert built(tmp_path, f"method={method}", "attack.loss=dlr").method.attack.loss == "dlr"

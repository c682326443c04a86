"""Attacks that do nothing are refused; those that are weaker than they look are said."""

import logging

import pytest

from gat_lightning.commands.train import assembly
from gat_lightning.config.check import check
from gat_lightning.errors import UserError
from support.configurations import composed
from support.evaluations import OWN, evaluated
from support.training_runs import tiny


def refusal(*overrides):
    with pytest.raises(UserError) as caught:
        check(composed("train", "paths.run=run", "data=digits", "weighting=equal", *overrides))
    return str(caught.value)


@pytest.mark.parametrize("method", ["madry", "trades", "mart", "fat", "fast", "free", "fgsm", "adversarial"])
def test_a_training_attack_of_radius_0_is_refused_with_clean_training_as_the_remedy(method):
    message = refusal("attack.eps=0", f"method={method}")
    assert message.startswith("attack.eps=0: the training would attack with radius 0")
    assert message.endswith("set method=standard.")


@pytest.mark.parametrize(
    ("overrides", "beginning"),
    [
        (["method=standard", "attack.eps=0"], "attack.eps=0: validation.attack would change no image"),
        (["validation.attack.eps=0"], "validation.attack.eps=0: validation.attack would change no image"),
        (["test.attack.eps=0/255"], "test.attack.eps=0: test.attack would change no image"),
        (["method=trades", "method.eps=0"], "method.eps=0: the training would attack with radius 0"),
        (["awp.gamma=5"], "awp.gamma=5: it must be null or a number above 0 and at most 1, such as 0.01."),
    ],
)
def test_what_else_does_nothing_or_too_much_is_refused(overrides, beginning):
    assert refusal(*overrides).startswith(beginning)


def test_an_evaluation_at_radius_0_is_refused_and_a_curve_may_begin_there(tmp_path):
    with pytest.raises(UserError, match=r"^attack\.eps=0: evaluation\.fgsm\.attack would change no image"):
        evaluated(tmp_path / "refused", *OWN, "attack.eps=0")
    result = evaluated(tmp_path / "curve", *OWN, "curve.eps=[0]", "pictures=false")
    scores = result["metrics"]["model"]
    assert scores["test/pgd20@0/accuracy"] == scores["test/clean/accuracy"]


def said(tmp_path, caplog, *overrides):
    """Warnings about the attacks when the objects of a training are made."""
    caplog.set_level(logging.WARNING)
    config = tiny(tmp_path, "task=none", "weighting=equal", *overrides)
    check(config)
    assembly.assemble(config, None)
    return [record.message for record in caplog.records if record.name == assembly.__name__]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], []),
        (["attack.step_size=0.2", "attack.eps=0.1"], []),
        (
            ["attack.step_size=0.21", "attack.eps=0.1"],
            ["attack.step_size=0.21 is above twice the radius, 0.1: every step leads from"],
        ),
        (
            ["method=trades", "attack.step_size=1"],
            ["attack.step_size=1 is above twice the radius, 0.15: every step leads from"],
        ),
        (["method=fast", "method.step=2", "validation.attack.steps=1"], []),
        (["awp.gamma=0.1"], []),
        (["awp.gamma=0.5"], ["awp.gamma=0.5: each layer's weights move by 50% of their norm. Wu et al. (2020)"]),
        (
            ["validation.attack.eps=0.1"],
            ["validation.attack is weaker than the attack of the training (radius 0.1, not 0.15): its scores"],
        ),
        (
            ["attack.steps=30", "validation.attack.steps=30"],
            ["test.attack is weaker than the attack of the training (steps 2, not 30): its scores overestimate"],
        ),
        (
            ["method=free", "validation.attack.norm=L2", "validation.attack.eps=0.2"],
            ["validation.attack is weaker than the attack of the training (norm L2, not Linf): its scores"],
        ),
        (["method=standard", "validation.attack.eps=0.1", "attack.steps=50"], []),
    ],
)
def test_what_a_training_says_of_its_attacks(tmp_path, caplog, overrides, expected):
    messages = said(tmp_path, caplog, *overrides)
    assert [message[: len(beginning)] for message, beginning in zip(messages, expected, strict=True)] == expected


def test_an_evaluation_says_that_a_step_is_long(tmp_path, caplog):
    overrides = ["++model._target_=support.evaluations.Net", "data=digits", "evaluation=pgd10", "pictures=false"]
    evaluated(tmp_path, *overrides, "evaluation.pgd10.attack.step_size=0.5", "evaluation.pgd10.attack.steps=2")
    assert "evaluation.pgd10.attack.step_size=0.5 is above twice the radius, 0.15" in caplog.text

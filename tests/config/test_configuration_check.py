"""The check of a configuration: what is right passes it, and how values and parameters are compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf

from gat_lightning.config.check import check
from gat_lightning.config.constructors import fits, parameters
from gat_lightning.config.files import find_conf
from gat_lightning.data import Arrays
from gat_lightning.errors import UserError
from support import configurations

CONF = find_conf()
INDEPENDENT = (
    "augment", "encoder", "attack", "weighting", "optimizer", "schedule", "callbacks", "logger", "trainer", "debug",
)  # fmt: skip
FOR_EVALUATIONS = ("apgd_ce", "apgd_t", "autoattack", "autoattack_rand", "cw", "fab")
FOR_PAIRS = ("ca_at",)


def composed(directory, *overrides):
    return configurations.composed("train", "data=digits", f"paths.run={directory}", *overrides)


def options(group):
    """Those that a training can have, whatever its method."""
    left_out = (*FOR_EVALUATIONS, *FOR_PAIRS)
    names = sorted(path.stem for path in (CONF / group).glob("*.yaml") if path.stem not in left_out)
    return ["default", *(f"default+{name}" for name in names if name != "default")] if group == "callbacks" else names


@pytest.mark.parametrize(
    "overrides",
    [
        *(
            ["task=macro+rotation+jigsaw"]
            + [f"{group}='{options(group)[turn % len(options(group))]}'" for group in INDEPENDENT]
            for turn in range(max(len(options(group)) for group in INDEPENDENT))
        ),
        *([f"method={method}", "weighting=equal"] for method in options("method")),
        *([f"experiment={experiment}"] for experiment in options("experiment")),
        ["method=standard", "attack=autoattack", "weighting=equal", "curvature.mode=off"],
        ["data=cifar10", "attack.eps=8/255", "attack.step_size=null", "attack.norm=L2", "validation.images=null"],
        ["trainer.max_epochs=-1", "+trainer.max_steps=10", "trainer.precision=64-true", "+trainer.limit_val_batches=1"],
        ["trainer.devices=[0, 1]", "+trainer.strategy=ddp", "+optimizer.nesterov=true", "method=adversarial",
         "weighting.floor={class/adv: 0.1}"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_right_is_not_refused(overrides, tmp_path):
    config = composed(tmp_path, *overrides)
    OmegaConf.to_container(config, resolve=True)
    check(config)


@pytest.mark.parametrize("callbacks", ["ema", "swa", "early_stopping", "ema+swa"])
def test_callbacks_without_a_checkpoint_of_the_model_are_refused(callbacks, tmp_path):
    message = f"callbacks has neither best nor last.*Set callbacks=default.{callbacks}".replace("+", r"\+")
    with pytest.raises(UserError, match=message):
        check(composed(tmp_path, f"callbacks={callbacks}"))


def test_an_optimizer_that_wants_a_closure_is_refused(tmp_path):
    settings = ["~optimizer", "+optimizer._target_=torch.optim.LBFGS", "+optimizer._partial_=true"]
    with pytest.raises(UserError, match=r"optimizer: LBFGS evaluates the loss again.*optimizer=sgd or optimizer=adamw"):
        check(composed(tmp_path, *settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["engine.solve_every=0"], r"engine\.solve_every=0: it must be a whole number of at least 1"),
        (["curvature.every=1.5"], r"curvature\.every=1\.5: it must be a whole number"),
        (
            ["task=macro", "engine.solve_every=4", "curvature.every=6"],
            r"curvature\.every=6: it must be 1 or a multiple of engine\.solve_every=4",
        ),
        (["weighting=famo", "engine.solve_every=2"], r"engine\.solve_every=2: it must be 1 with FAMO"),
        (
            ["weighting=famo", "engine.space=representation", "curvature.mode=off"],
            r"engine\.space='representation': it must be parameters with FAMO",
        ),
        (["weighting=famo", "awp.gamma=0.01"], r"weighting: FAMO compares the losses.*awp\.gamma"),
        (["weighting=famo", "weighting.lr=0"], r"weighting\.lr=0: it must be a number above 0"),
    ],
)
def test_settings_of_cheaper_steps_that_do_not_fit_are_refused(settings, message, tmp_path):
    with pytest.raises(UserError, match=message):
        check(composed(tmp_path, *settings))


@pytest.mark.parametrize(
    "settings",
    [
        ["engine.solve_every=10"],
        ["engine.solve_every=5", "curvature.every=10"],
        ["curvature.every=3"],
        ["curvature.mode=off", "engine.solve_every=4", "curvature.every=6"],
        ["weighting=famo", "curvature.every=10"],
    ],
    ids=" ".join,
)
def test_settings_of_cheaper_steps_that_fit_are_not(settings, tmp_path):
    check(composed(tmp_path, "task=macro", *settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["weighting=ca_at"], r"weighting: CA-AT weighs.*'class/clean\+adv' is both: set method\.pairing=separate"),
        (["weighting=ca_at", "method=madry_separate", "task=macro"], r"is neither: set curvature\.mode=penalty"),
        (
            ["weighting=torchjd", "weighting.rule=MoDo"],
            r"weighting\.rule='MoDo': it must be one of.*takes the Jacobian",
        ),
        (["weighting=torchjd", "weighting.arguments={beta: 1}"], r"weighting\.arguments=.*of alpha, max_iters"),
        (["weighting=torchjd", "weighting.rule=GradVac", "weighting.arguments={beta: 2}"], r"weighting: Attribute"),
    ],
)
def test_rules_that_do_not_fit_are_refused(settings, message, tmp_path):
    with pytest.raises(UserError, match=message):
        check(composed(tmp_path, *settings))


def test_rules_that_fit_are_not(tmp_path):
    for settings in (
        ["weighting=ca_at", "method=madry_separate", "curvature.mode=penalty"],
        ["weighting=torchjd", "weighting.rule=CRMOGM", "weighting.arguments={weighting: GradVac, alpha: 0.5}"],
    ):
        check(composed(tmp_path, "task=macro", *settings))


def test_a_world_size_is_no_setting(tmp_path):
    with pytest.raises(UserError, match=r"engine\.world_size=2 does not work here"):
        check(composed(tmp_path, "+engine.world_size=2"))


def test_a_value_without_a_default_is_asked_for(tmp_path):
    config = composed(tmp_path)
    config.data.target = "???"
    with pytest.raises(UserError, match=r"data.target has no value yet: set data.target=VALUE"):
        check(config)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (1, int, True), (True, int, False), (1.0, int, False), ("1", int, False),
        (1, float, True), (0.5, float, True), (False, float, False), ("0.5", float, False),
        (False, bool, True), (0, bool, False), (None, int | None, True), ("8/255", float | str, True),
        ("l2", Literal["none", "l2"] | None, True), ("l3", Literal["none", "l2"] | None, False),
        ([0, 1], list[int] | str | int, True), (0.5, list[int] | str | int, False), (["a"], Sequence[int], False),
        ({"a": 0.5}, Mapping[str, float] | None, True), ({"a": "b"}, Mapping[str, float] | None, False),
        ("abc", Sequence[str], False), ("anything", Path, True), (3, Any, True),
    ],
)  # fmt: skip
def test_plain_values_and_annotations(value, annotation, expected):
    assert fits(value, annotation) is expected


def test_parameters_of_a_class_and_of_the_bases_that_its_keywords_go_to():
    accepted, takes_any = parameters(Arrays)
    assert {"path", "classes", "batch_size", "augment"} <= set(accepted)
    assert not takes_any

    def somebodys(width: int, **kwargs):
        """Takes whatever there is."""

    assert parameters(somebodys) == ({"width": int}, True)

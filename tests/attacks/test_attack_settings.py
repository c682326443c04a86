"""Settings: what is accepted, what is refused and how, names, and the configuration files."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from gat_lightning.attacks import BIM, FGSM, MIM, PGD, Attack, parse_budget
from gat_lightning.errors import UserError

FILES = sorted((Path(__file__).parents[2] / "conf" / "attack").glob("*.yaml"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8/255", 8 / 255), (" 8 / 255 ", 8 / 255), ("0.03", 0.03), ("1e-3", 0.001), ("2", 2.0), ("-1/4", -0.25)],
)
def test_budget_as_text(text: str, expected: float) -> None:
    assert parse_budget(text) == expected


@given(numerator=st.integers(0, 10**6), denominator=st.integers(1, 10**6))
def test_budget_is_the_nearest_float(numerator: int, denominator: int) -> None:
    assert parse_budget(f"{numerator}/{denominator}") == float(Fraction(numerator, denominator))
    assert parse_budget(numerator / denominator) == numerator / denominator


@pytest.mark.parametrize(
    "value",
    ["8/25S", "", "8/0", "1/2/3", "nan", "inf", "1e999999999", "9" * 400, "__import__('os')", "8*2", True, None, [1]],
)
def test_no_budget(value: object) -> None:
    with pytest.raises(UserError, match=r"attack\.step_size=.* is not a number; write it as 0\.03 or as 8/255"):
        parse_budget(value, "step_size")


REFUSED = [
    (lambda: FGSM(eps=-0.1), "attack.eps=-0.1 is negative"),
    (lambda: FGSM(eps="-8/255"), "attack.eps=-8/255 is negative"),
    (lambda: FGSM(eps=8), "attack.eps=8 is above 1, but pixels lie in [0, 1]; 8 of 255 grey levels are 8/255"),
    (lambda: FGSM(norm="l2"), "attack.norm='l2' is unknown; did you mean 'L2'? Known: Linf, L2, L1"),
    (lambda: FGSM(mode="training"), "attack.mode='training' is unknown; did you mean 'train'? Known: eval, train"),
    (lambda: BIM(steps=0), "attack.steps=0 must be a whole number, 1 or more"),
    (lambda: BIM(steps=2.5), "attack.steps=2.5 must be a whole number"),
    (lambda: BIM(steps=True), "attack.steps=True must be a whole number"),
    (lambda: BIM(step_size=0), "attack.step_size=0 must be above 0, or null"),
    (lambda: BIM(step_size="-1/255"), "attack.step_size=-1/255 must be above 0"),
    (lambda: MIM(decay=-1), "attack.decay=-1 must be 0 or more"),
    (lambda: PGD(random_start="normal"), "Known: none, uniform, gaussian"),
    (lambda: PGD(random_start="Gauss"), "attack.random_start='Gauss' is unknown; did you mean 'gaussian'?"),
    (lambda: PGD(random_start=None), "attack.random_start=None is unknown; did you mean 'none'?"),
    (lambda: PGD(restarts=0), "attack.restarts=0 must be a whole number"),
    (lambda: PGD(restarts=2, random_start="none"), "attack.restarts=2 needs attack.random_start=uniform or gaussian"),
]


@pytest.mark.parametrize(("construct", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_bad_settings_are_named(construct: object, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        construct()


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (FGSM(), "fgsm"),
        (BIM(steps=7), "bim7"),
        (MIM(), "mim10"),
        (PGD(), "pgd10"),
        (PGD(steps=20), "pgd20"),
        (PGD(steps=20, restarts=5), "pgd20x5"),
        (PGD("L2", 0.5), "pgd10-l2"),
        (FGSM("L1", 12), "fgsm-l1"),
    ],
)
def test_names(attack: Attack, name: str) -> None:
    assert attack.name == name


def test_default_step_sizes() -> None:
    assert PGD(eps=0.4).step_size == pytest.approx(0.1)
    assert BIM(eps=0.4, steps=8).step_size == pytest.approx(0.05)
    assert MIM(eps=0.4, steps=8).step_size == pytest.approx(0.05)
    assert FGSM(eps=0.4).step_size == 0.4
    assert PGD(eps=0.4, step_size="1/255").step_size == 1 / 255


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_configuration_gives_the_attack_of_its_name(file: Path) -> None:
    config = OmegaConf.create({"data": {"eps": "8/255"}, "attack": OmegaConf.load(file)}).attack
    assert config.pop("tasks") == "target"
    attack = instantiate(config)
    assert isinstance(attack, Attack)
    assert attack.name.startswith(file.stem)
    assert attack.eps == 8 / 255
    assert vars(attack) == vars(type(attack)())


def test_there_is_a_configuration_for_every_attack() -> None:
    assert {"bim", "fgsm", "mim", "pgd"} <= {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_setting_is_explained(file: Path) -> None:
    lines = file.read_text().splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        assert line.startswith("#") or above.startswith("#"), line

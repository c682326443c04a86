"""Settings: what is accepted, what is refused and how, names, and the configuration files."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from gat_lightning.attacks import BIM, FGSM, MIM, PGD, Attack, parse_budget
from gat_lightning.attacks.apgd import APGDCE, APGDT
from gat_lightning.attacks.autoattack import AutoAttack, AutoAttackRand
from gat_lightning.attacks.cw import CW
from gat_lightning.attacks.fab import FAB
from gat_lightning.attacks.friendly import FriendlyPGD
from gat_lightning.attacks.square import Square
from gat_lightning.config.constructors import parameters
from gat_lightning.config.resolvers import register_resolvers
from gat_lightning.errors import SettingError

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
    with pytest.raises(SettingError, match=r"step_size=.*: it must be a number, such as 0\.03 or 8/255"):
        parse_budget(value, "step_size")


REFUSED = [
    (lambda: FGSM(eps=-0.1), "eps=-0.1", "8/255"),
    (lambda: FGSM(eps="-8/255"), "eps='-8/255'", "at least 0"),
    (lambda: FGSM(eps=8), "eps=8", "at most 1, such as 0.03 or 8/255"),
    (lambda: FGSM(norm="l2"), "norm='l2'", "Linf, L2, L1; did you mean L2?"),
    (lambda: FGSM(mode="training"), "mode='training'", "did you mean train?"),
    (lambda: BIM(steps=0), "steps=0", "a whole number of at least 1"),
    (lambda: BIM(steps=2.5), "steps=2.5", "a whole number"),
    (lambda: BIM(steps=True), "steps=True", "a whole number"),
    (lambda: BIM(step_size=0), "step_size=0", "None or a number above 0"),
    (lambda: BIM(step_size="-1/255"), "step_size='-1/255'", "above 0"),
    (lambda: BIM(loss="DLR"), "loss='DLR'", "None or one of: margin, dlr; did you mean dlr?"),
    (lambda: MIM(decay=-1), "decay=-1", "at least 0"),
    (lambda: PGD(random_start="normal"), "random_start='normal'", "none, uniform, gaussian"),
    (lambda: PGD(random_start="Gauss"), "random_start='Gauss'", "did you mean gaussian?"),
    (lambda: PGD(random_start=None), "random_start=None", "did you mean none?"),
    (lambda: PGD(restarts=0), "restarts=0", "a whole number"),
    (lambda: FriendlyPGD(tau=-1), "tau=-1", "a whole number of at least 0"),
    (lambda: BIM(eot=0), "eot=0", "a whole number of at least 1"),
    (lambda: BIM(targeted=-1), "targeted=-1", "None or a whole number of at least 0"),
    (lambda: APGDT(eot=0), "eot=0", "a whole number of at least 1"),
    (lambda: AutoAttackRand(eot=0), "eot=0", "a whole number of at least 1"),
    (lambda: AutoAttack(norm="L1"), "norm='L1'", "one of: Linf, L2"),
    (lambda: CW(norm="Linf"), "norm='Linf'", "one of: L2"),
    (lambda: Square(queries=0), "queries=0", "a whole number"),
    (lambda: FAB(restarts=0), "restarts=0", "a whole number"),
    (lambda: APGDT(steps=0), "steps=0", "a whole number"),
    (lambda: APGDT(seed=-1), "seed=-1", "None or a whole number of at least 0"),
    (lambda: CW(c=0), "c=0", "above 0"),
    (lambda: CW(confidence=-1), "confidence=-1", "at least 0"),
]


@pytest.mark.parametrize(("construct", "fault", "right"), REFUSED)
def test_bad_arguments_are_named_with_what_would_be_right(
    construct: Callable[[], Attack], fault: str, right: str
) -> None:
    with pytest.raises(SettingError) as caught:
        construct()
    assert str(caught.value).startswith(f"{fault}: ")
    assert right in str(caught.value)


def test_restarts_need_a_random_start() -> None:
    with pytest.raises(ValueError, match=r"restarts=2 needs random_start=uniform or gaussian"):
        PGD(restarts=2, random_start="none")


def test_the_constructors_arguments_are_those_of_the_base_and_its_own() -> None:
    common = {"norm", "eps", "mode"}
    for attack, own in (
        (FGSM, {"loss", "eot", "targeted"}),
        (BIM, {"step_size", "steps", "loss", "eot", "targeted"}),
        (MIM, {"step_size", "steps", "loss", "eot", "targeted", "decay"}),
        (PGD, {"step_size", "steps", "loss", "eot", "targeted", "random_start", "restarts"}),
        (FriendlyPGD, {"step_size", "steps", "loss", "eot", "targeted", "random_start", "tau"}),
        (APGDCE, {"steps", "restarts", "eot", "seed"}),
        (CW, {"steps", "c", "confidence", "lr"}),
        (Square, {"queries", "restarts", "seed"}),
        (AutoAttack, {"steps", "queries", "seed"}),
    ):
        accepted, takes_any = parameters(attack)
        assert set(accepted) == common | own
        assert not takes_any
        with pytest.raises(TypeError, match="nonsense"):
            attack(nonsense=1)


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (FGSM(), "fgsm"),
        (BIM(steps=7), "bim7"),
        (MIM(), "mim10"),
        (PGD(), "pgd10"),
        (PGD(steps=20), "pgd20"),
        (PGD(steps=20, restarts=5), "pgd20x5"),
        (PGD(norm="L2", eps=0.5), "pgd10-l2"),
        (FGSM(norm="L1", eps=12), "fgsm-l1"),
        (PGD(steps=20, loss="margin"), "pgd20-margin"),
        (MIM(norm="L2", eps=0.5, loss="dlr"), "mim10-l2-dlr"),
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
    register_resolvers()
    config = OmegaConf.create({"data": {"eps": "8/255"}, "attack": OmegaConf.load(file)}).attack
    assert config.pop("tasks") == "target"
    attack = instantiate(config)
    assert isinstance(attack, Attack)
    assert attack.name.startswith(file.stem)
    assert attack.eps == (0.5 if isinstance(attack, CW) else 8 / 255)
    assert vars(attack) == vars(type(attack)())


@pytest.mark.parametrize("attack", [FGSM, BIM, MIM, PGD, FriendlyPGD, APGDCE, APGDT, AutoAttack, FAB, Square])
def test_the_default_radius_is_that_of_linf_alone(attack: type[Attack]) -> None:
    assert attack().eps == 8 / 255
    assert attack(norm="L2", eps="128/255").eps == 128 / 255
    with pytest.raises(ValueError, match=r"norm=L2 needs a radius: set eps, such as eps=0\.5"):
        attack(norm="L2")


def test_there_is_a_configuration_for_every_attack() -> None:
    assert {"bim", "fgsm", "mim", "pgd"} <= {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_setting_is_explained(file: Path) -> None:
    lines = file.read_text().splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        assert line.startswith("#") or above.startswith("#"), line

"""Checks of arguments: what they accept, and what their errors say to a caller and at the command line."""

import pickle
from pathlib import Path

import numpy as np
import pytest

import gat_lightning
from gat_lightning.errors import SettingError
from gat_lightning.validate import check_bool, check_int, check_option, check_real

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize("value", [0, 1, 7, np.int64(3)])
def test_whole_numbers(value):
    assert check_int("n", value, 0, 7) is value


@pytest.mark.parametrize("value", [-1, 8, 1.0, True, False, "1", None, [1], NAN, np.float64(2)])
def test_no_whole_numbers(value):
    with pytest.raises(SettingError, match=r"n=.*: it must be a whole number of at least 0 and at most 7"):
        check_int("n", value, 0, 7)


@pytest.mark.parametrize(
    ("closed", "accepted"), [("both", [0, 0.5, 1]), ("left", [0, 0.5]), ("right", [0.5, 1]), ("neither", [0.5])]
)
def test_intervals_with_open_and_closed_ends(closed, accepted):
    for value in (-1e-9, 0, 0.5, np.float32(0.5), 1, 1 + 1e-9):
        if value in accepted:
            assert check_real("x", value, 0, 1, closed=closed) is value
        else:
            with pytest.raises(SettingError, match=f"x={value}"):
                check_real("x", value, 0, 1, closed=closed)


@pytest.mark.parametrize("value", [INF, -INF, NAN, True, "0.5", None, 1j, [0.5], 10**400])
def test_what_is_no_finite_number(value):
    with pytest.raises(SettingError, match=": it must be a number"):
        check_real("x", value)


def test_ends_are_said():
    for arguments, words in [
        ({"low": 0}, "a number of at least 0."),
        ({"low": 0, "closed": "neither"}, "a number above 0."),
        ({"low": 0, "high": 1, "closed": "left", "example": 0.9}, "a number of at least 0 and below 1, such as 0.9."),
    ]:
        with pytest.raises(SettingError) as caught:
            check_real("x", "one", **arguments)
        assert str(caught.value) == f"x='one': it must be {words}"


def test_the_nearest_name_is_suggested():
    assert check_option("norm", "L2", ("Linf", "L2")) == "L2"
    with pytest.raises(SettingError, match=r"norm='linf': it must be one of: Linf, L2; did you mean Linf\?$"):
        check_option("norm", "linf", ("Linf", "L2"))
    with pytest.raises(SettingError, match="norm=None"):
        check_option("norm", None, ("Linf", "L2"))


def test_flags():
    assert check_bool("on", False) is False
    for value in (0, 1, "true", None):
        with pytest.raises(SettingError, match="true or false"):
            check_bool("on", value)


def test_single_values_beside_the_rest():
    assert check_int("n", None, also=(None, -1)) is None
    assert check_int("n", -1, also=(None, -1)) == -1
    with pytest.raises(SettingError, match="n=True: it must be None or 1 or a whole number of at least 2"):
        check_int("n", True, 2, also=(None, 1))


def test_an_error_keeps_its_parts_and_is_spelled_anew():
    with pytest.raises(ValueError, match="steps=0") as caught:
        check_int("steps", 0, also=(None,))
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.name, error.value, error.right, error.also) == ("steps", 0, "a whole number of at least 1", (None,))
    assert str(error) == "steps=0: it must be None or a whole number of at least 1."
    assert error.spelled("attack.steps", "null") == "attack.steps=0: it must be null or a whole number of at least 1."


@pytest.mark.parametrize(
    "package", ["attacks", "augment", "curvature", "gradients", "methods", "models", "tasks", "weighting"]
)
def test_the_library_does_not_speak_to_the_user_of_a_command(package):
    folder = Path(gat_lightning.__file__).parent / package
    files = list(folder.rglob("*.py"))
    assert files
    assert [file for file in files if "UserError" in file.read_text()] == []

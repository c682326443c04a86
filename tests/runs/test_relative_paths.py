"""Paths inside a run directory are kept relative to it."""

from hypothesis import given
from hypothesis import strategies as st

from gat_lightning.runs.relative_paths import rebased, relative_to_run

NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@given(st.lists(NAMES, min_size=1), st.lists(NAMES, min_size=1), st.lists(NAMES))
def test_a_path_goes_to_another_folder_and_back(before, now, inside):
    old, new = (f"/{'/'.join(parts)}" for parts in (before, now))
    path = "/".join([old, *inside])
    there = rebased(path, old, new)
    assert there == "/".join([new, *inside])
    assert rebased(there, new, old) == path
    assert relative_to_run(path, old) == ("/".join(inside) or ".")


def test_only_paths_inside_the_folder_change():
    value = {
        "/runs/a/checkpoints/best.ckpt": 1.5,
        "here": ["/runs/a", "/runs/a/x", ("/runs/ab/x", "/data/runs/a/x")],
        "none": None,
        "number": 3,
    }
    assert relative_to_run(value, "/runs/a") == {
        "checkpoints/best.ckpt": 1.5,
        "here": [".", "x", ("/runs/ab/x", "/data/runs/a/x")],
        "none": None,
        "number": 3,
    }


def test_a_name_that_is_spelled_like_a_relative_folder_is_no_path():
    assert relative_to_run({"name": "run", "dirpath": "run/checkpoints"}, "run") == {
        "name": "run", "dirpath": "checkpoints"
    }  # fmt: skip

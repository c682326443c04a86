"""A checkpoint is validated on images that its training held out, however its data are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.build import CHECKPOINT_SCHEMA, build_data
from gat_lightning.config.evaluation import data_settings
from gat_lightning.config.files import plain
from support.configurations import composed


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[int]]:
    """A checkpoint whose training drew its images by settings of its own, and the rows of those images."""
    config = plain(composed("train", "experiment=quickstart", "paths.run=."))
    config["data"] |= {"seed": 7, "fraction": 0.5, "val_fraction": 0.3}
    origin = {"schema": CHECKPOINT_SCHEMA, "config": config, "data": {}}
    path = tmp_path_factory.mktemp("drawn") / "best.ckpt"
    torch.save({"state_dict": {}, "tasks": {}, "epoch": 0, "global_step": 0, "gat_lightning": origin}, path)
    return path, rows_of("train", config["data"])


def rows_of(split: str, settings: dict[str, Any] | DictConfig | None) -> set[int]:
    """Places of a split's images among those that the data set's training images are drawn from."""
    data = build_data(OmegaConf.create({"data": settings, "augment": None}))
    data.setup()
    store = [image.numpy().tobytes() for image in data.split(split).images[data.split(split).rows]]
    every = data.load().train.images
    place = {image.numpy().tobytes(): row for row, image in enumerate(every)}
    return {place[image] for image in store}


def test_no_image_of_the_training_is_validated_on(drawn: tuple[Path, set[int]]) -> None:
    path, trained = drawn
    named = data_settings(composed("evaluate", f"checkpoint={path}", "data=digits", "split=val"))
    assert named is not None
    assert (named.seed, named.fraction, named.val_fraction) == (7, 0.5, 0.3)
    assert rows_of("val", named)
    assert not rows_of("val", named) & trained
    assert rows_of("val", OmegaConf.merge(named, {"seed": 0})) & trained


@pytest.mark.parametrize("typed", [["data.seed=3"], ["data.seed=3", "++data.fraction=0.4"], ["seed=3"]])
def test_what_is_typed_decides_the_split(
    typed: list[str], drawn: tuple[Path, set[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"checkpoint={drawn[0]}", "data=digits", "split=val", *typed]
    record = type("Record", (), {"overrides": type("Overrides", (), {"task": words})})
    config = composed("evaluate", *words)
    monkeypatch.setattr("gat_lightning.runs.directory.HydraConfig.initialized", lambda: True)
    monkeypatch.setattr("gat_lightning.runs.directory.HydraConfig.get", lambda: record)
    found = data_settings(config)
    assert found is not None
    assert found.seed == (7 if typed == ["seed=3"] else 3)
    assert found.fraction == (0.4 if len(typed) == 2 else 0.5)


def test_other_data_keep_their_own_splits(drawn: tuple[Path, set[int]]) -> None:
    found = data_settings(composed("evaluate", f"checkpoint={drawn[0]}", "data=arrays", "++data.path=own.npz"))
    assert found is not None
    assert (found.seed, found.fraction, found.val_fraction) == (0, 1.0, 0.1)

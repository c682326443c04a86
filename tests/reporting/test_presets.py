"""Reports name presets of the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from support.configurations import composed
from support.run_records import table, training

NODES = ("engine", "trainer")


def trained(runs: Path, name: str, *typed: str) -> None:
    """A run without ``.hydra``, with the settings of the engine that the command gives it."""
    config = composed("train", *typed)
    settings = {node: OmegaConf.to_container(config[node], resolve=True) for node in NODES}
    training(runs, name, **settings)


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        (["engine=fast"], "engine=fast"),
        (["engine=fast", "engine.clip_norm=1"], "engine=fast engine.clip_norm=1"),
        (["engine=exact", "engine.clip_norm=1"], "engine.clip_norm=1"),
        (
            ["engine=fast", "trainer.precision=32-true"],
            "engine.channels_last=auto engine.compile=auto trainer.benchmark=true trainer.deterministic=false",
        ),
    ],
)
def test_a_preset_is_named_unless_one_of_its_settings_was_typed(tmp_path: Path, typed: list[str], label: str) -> None:
    trained(tmp_path / "runs", "exact")
    trained(tmp_path / "runs", "other", *typed)
    assert label in {row[0] for row in table(tmp_path)[1:]}

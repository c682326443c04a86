"""What is left of a command that was refused."""

import pytest

from gat_lightning.runs.directory import discard_unused


@pytest.mark.parametrize(
    ("files", "stays"),
    [
        ({".hydra/config.yaml": "a: 1", "gat.log": ""}, False),
        ({".hydra/config.yaml": "a: 1", "gat.log": "", ".lock": "12"}, False),
        ({".hydra/config.yaml": "a: 1", "gat.log": "a warning"}, True),
        ({".hydra/config.yaml": "a: 1", "gat.log": "", "result.json": "{}"}, True),
        ({".hydra/config.yaml": "a: 1", "checkpoints/last.ckpt": ""}, True),
    ],
)
def test_only_an_unused_directory_goes(tmp_path, files, stays):
    run = tmp_path / "run"
    for name, text in files.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(text)
    discard_unused(run)
    assert run.exists() == stays
    discard_unused(tmp_path / "absent")


@pytest.mark.parametrize("inside", [".", "deeper"])
def test_the_current_folder_stays(tmp_path, monkeypatch, inside):
    run = tmp_path / "run"
    (run / inside).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(run / inside)
    discard_unused(run)
    assert run.exists()
    assert not (run / ".lock").exists()

"""Weights carry their normalisation: into a training, through checkpoints and exports, and from one to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from gat_lightning.commands.train.assembly import assemble
from gat_lightning.config.build import build_data, build_module
from gat_lightning.config.check import check
from gat_lightning.config.checkpoint import load_classifier, load_model
from gat_lightning.config.files import plain
from gat_lightning.errors import UserError
from gat_lightning.models.normalize import Normalize, normalization_of
from gat_lightning.runs.settings_history import identity
from gat_lightning.training.module import GATModule
from support.configurations import composed

TIMM = ("encoder=timm", "encoder.name=test_resnet")
PRESET = ([0.5], [0.5])
"""What timm says that its weights of that model were normalised with."""
DIGITS = (pytest.approx([0.3046], abs=1e-4), pytest.approx([0.3758], abs=1e-4))
IMAGES = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))


class Own(nn.Module):
    """Somebody's encoder, that normalises as it is told to."""

    def __init__(self, num_classes: int, image: tuple[int, int, int], mean: Any, std: Any, weights: Any = None) -> None:
        super().__init__()
        self.normalize, self.fc = Normalize(mean, std), nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.normalize(x).flatten(1))


def settings(*overrides: str) -> Any:
    config = composed("train", "experiment=quickstart", "task=rotation", "paths.run=.", *overrides)
    check(config)
    return config


def built(*overrides: str) -> GATModule:
    config = settings(*overrides)
    return build_module(config, build_data(config).info)


def saved(module: GATModule, path: Path, **changed: Any) -> Path:
    content: dict[str, Any] = {"state_dict": module.state_dict(), "epoch": 0, "global_step": 0, "lr_schedulers": []}
    module.on_save_checkpoint(content)
    torch.save(content | changed, path)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=10, in_chans=1).state_dict(), tmp_path / "theirs.pt")
    return tmp_path / "theirs.pt"


def test_a_training_that_begins_with_weights_normalises_as_they_were_trained(weights: Path) -> None:
    theirs = timm.create_model("test_resnet", num_classes=10, in_chans=1).eval()
    theirs.load_state_dict(torch.load(weights))
    ours = built(*TIMM, f"encoder.weights={weights}").model.single_task().eval()
    assert torch.equal(ours(IMAGES), theirs((IMAGES - 0.5) / 0.5))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (TIMM, DIGITS),
        ((*TIMM, "encoder.mean=[0.25]", "encoder.std=[0.75]"), ([0.25], [0.75])),
        ((*TIMM, "encoder.weights=FILE", "encoder.mean=[0.25]", "encoder.std=[0.75]"), ([0.25], [0.75])),
        (("encoder=preact_resnet_small",), DIGITS),
        (("+encoder.mean=[0.25]", "+encoder.std=[0.75]"), ([0.25], [0.75])),
        ((f"encoder._target_={__name__}.Own", "~encoder.width", "+encoder.weights=[1,2]"), DIGITS),
    ],
)
def test_settings_go_first_and_without_weights_the_data(typed: tuple[str, ...], expected: Any, weights: Path) -> None:
    assert normalization_of(built(*(word.replace("FILE", str(weights)) for word in typed)).model) == expected


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("encoder.mean=[0.5]", "encoder.std=null: it must be set too, since mean and std go together"),
        (
            "encoder.mean=[125.3] encoder.std=[63]",
            r"encoder.mean=\[125.3\]: .* divide those of pixels in 0..255 by 255",
        ),
        ("encoder.mean=[0.5] encoder.std=[0]", r"encoder.std=\[0.0\]: it must be .*above 0"),
        ("encoder.mean=0.5 encoder.std=0.5", "encoder.mean=0.5: it must be a list"),
        ("+encoder.num_classes=7", "encoder.num_classes follows from the data: leave it out"),
    ],
)
def test_a_normalisation_that_cannot_be_is_refused_before_work_starts(typed: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings(*TIMM, *typed.split())


def test_a_checkpoint_keeps_the_normalisation_and_needs_no_file(weights: Path, tmp_path: Path) -> None:
    module = built(*TIMM, f"encoder.weights={weights}")
    before = module.model.single_task().eval()(IMAGES)
    path = saved(module, tmp_path / "best.ckpt", normalization={"mean": [0.4], "std": [0.2]})
    weights.unlink()
    ours = load_classifier(path)
    assert normalization_of(ours) == (pytest.approx([0.4]), pytest.approx([0.2]))
    saved(module, path)
    assert torch.equal(load_classifier(path)(IMAGES), before)


@pytest.mark.parametrize(
    ("began_with", "expected"), [({"weights": "none.pt"}, DIGITS), ({"pretrained": True}, PRESET), ({}, DIGITS)]
)
def test_earlier_checkpoints_are_read_as_they_were_trained(
    began_with: dict[str, Any], expected: Any, tmp_path: Path
) -> None:
    """Those of versions in which pretrained weights alone brought their normalisation."""
    module = built(*TIMM)
    path = saved(module, tmp_path / "best.ckpt")
    content = torch.load(path)
    del content["normalization"]
    encoder = content["gat_lightning"]["config"]["encoder"]
    encoder.update(began_with)
    del encoder["mean"], encoder["std"]
    torch.save(content, path)
    assert normalization_of(load_model(path)[0]) == expected


def test_weights_of_another_training_are_normalised_as_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(built("+encoder.mean=[0.25]", "+encoder.std=[0.75]"), tmp_path / "before.ckpt")
    found = {
        words: normalization_of(assemble(settings(*words), init=str(path)).module.model)
        for words in [(), ("+encoder.mean=[0.1]", "+encoder.std=[0.2]")]
    }
    assert list(found.values()) == [([0.25], [0.75]), (pytest.approx([0.1]), pytest.approx([0.2]))]


def test_a_run_that_is_resumed_goes_on_with_its_normalisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loops = {"fit_loop": {"epoch_progress": {"current": {"processed": 0}}}}
    path = saved(built(), tmp_path / "last.ckpt", normalization={"mean": [0.25], "std": [0.75]}, loops=loops)
    assembly = assemble(settings(f"resume={path}"), init=None)
    assert normalization_of(assembly.module.model) == ([0.25], [0.75])


def test_earlier_runs_are_found_where_they_mean_the_same() -> None:
    def as_before(config: Any) -> dict[str, Any]:
        earlier = plain(config)
        del earlier["encoder"]["mean"], earlier["encoder"]["std"]
        return earlier

    for typed in ((), ("encoder.pretrained=true",)):
        config = settings(*TIMM, *typed)
        assert {**identity(plain(config)), "redefined": None} == {**identity(as_before(config)), "redefined": None}
        assert "gat_lightning.models.timm_classifier.weights" not in identity(plain(config)).get("redefined", {})
    changed = identity(plain(settings(*TIMM, "encoder.weights=FILE", "init=CHECKPOINT")))["redefined"]
    assert changed["gat_lightning.models.timm_classifier.weights"] == changed["init"] == 1

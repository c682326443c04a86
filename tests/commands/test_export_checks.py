"""An export that does not give its checkpoint's logits is refused, and leaves no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gat_lightning.commands.export import check_same
from gat_lightning.config.checkpoint import load_described
from gat_lightning.errors import UserError
from gat_lightning.formats import Description, Format, Safetensors
from gat_lightning.formats.safetensors import read_classifier
from support import own_classifiers
from support.own_classifiers import checkpoint, encoder, exported


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("runs") / "small", "encoder.width=4")


class Wrong(Safetensors):
    """Spoils one weight."""

    def write(self, classifier: nn.Module, description: Description, path: Path) -> None:
        super().write(classifier, description, path)
        tensors = load_file(path)
        tensors["fc.bias"][3] += 1e-3
        save_file(tensors, path, {"gat_lightning": description.to_json()})


class OneBatch(Safetensors):
    """Works for one size of batches, like a careless trace."""

    def read(self, path: Path) -> Any:
        classifier = read_classifier(path)[0]
        return lambda images: classifier(images.view(7, 1, 8, 8))


@pytest.mark.parametrize(("form", "message"), [(Wrong, "differs by 1.0e-03"), (OneBatch, "fails on a batch of 1")])
def test_a_wrong_file_is_not_left_behind(form: type[Format], message: str, small: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        exported(small, f"format._target_={__name__}.{form.__name__}", f"output={tmp_path / 'mine.safetensors'}")
    assert not list(tmp_path.iterdir())


def branching(run: Path, when: str) -> Path:
    """Checkpoint of an encoder that branches on its images."""
    return checkpoint(run, encoder("branching"), "~encoder.width", f"+encoder.when={when}")


@pytest.mark.parametrize(
    ("when", "batch"),
    [
        ("bright", r"a batch of 7 \(bright images\)"),
        ("dark", r"a batch of 7 \(dark images\)"),
        ("one", r"a batch of 1 \(noise\)"),
        ("several", r"a batch of 7 \(noise\)"),
    ],
)
def test_a_trace_with_a_branch_baked_in_is_refused(when: str, batch: str, tmp_path: Path) -> None:
    path = branching(tmp_path / "run", when)
    with pytest.raises(UserError, match=rf"differs by .* on {batch}: its architecture cannot be exported this way"):
        exported(path, "format=torchscript")
    assert not list((tmp_path / "run" / "export").iterdir())
    assert exported(path).is_file()  # safetensors keeps no trace


@pytest.mark.slow
@pytest.mark.parametrize(
    ("when", "message"),
    [("bright", "Branching cannot be exported"), ("one", "fails on a batch of 7")],
)
def test_onnx_refuses_branches_too(when: str, message: str, tmp_path: Path) -> None:
    path = branching(tmp_path / "run", when)
    with pytest.raises(UserError, match=message):
        exported(path, "format=onnx")
    assert not list((tmp_path / "run" / "export").iterdir())


def test_the_tracer_s_warnings_are_shown_once(small: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    exported(small, "format=torchscript", f"output={tmp_path / 'small.pt'}")
    assert not caplog.records
    path = checkpoint(tmp_path / "run", encoder("branching"), "~encoder.width", "+encoder.when=never")
    exported(path, "format=torchscript")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "Converting a tensor to a Python boolean might cause the trace to be incorrect" in record.getMessage()
    assert Path(own_classifiers.__file__).name in record.getMessage()


class Overflowing(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.where(images.mean((1, 2, 3)) > 0.9, torch.inf, 0).unsqueeze(1)


def test_logits_that_are_not_finite_are_no_standard(small: Path) -> None:
    description, model = load_described(small)[1], Overflowing()
    with pytest.raises(UserError, match=r"gives logits that are not finite on a batch of 7 \(bright images\)"):
        check_same(model, model, description, 1e-6)

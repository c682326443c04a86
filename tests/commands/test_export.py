"""``python -m gat_lightning.export``: the file alone gives the checkpoint's logits, under the original keys."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import models

from gat_lightning.commands.evaluate.run import run as evaluate
from gat_lightning.commands.evaluate.subject import load_subject
from gat_lightning.commands.export import run
from gat_lightning.config.checkpoint import load_classifier, load_described
from gat_lightning.errors import UserError
from gat_lightning.formats import ONNX, Format, Safetensors, TorchScript
from gat_lightning.formats.safetensors import read_classifier
from gat_lightning.models import preact_resnet18
from support.configurations import composed
from support.own_classifiers import Own, checkpoint, encoder, exported

TIMM = ("encoder=timm", "encoder.name=test_resnet")
TORCHVISION = ("encoder=torchvision", "encoder.name=shufflenet_v2_x0_5")
OWN = (encoder("own"),)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("runs") / "small", "encoder.width=4")


IMAGES = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
STATISTICS = {"mean": (0.3,), "std": (0.4,)}


def gray_shufflenet() -> nn.Module:
    model = models.shufflenet_v2_x0_5(num_classes=10)
    model.conv1[0] = nn.Conv2d(1, 24, 3, stride=2, padding=1, bias=False)
    return model


def gray_resnet50() -> nn.Module:
    model = models.resnet50(num_classes=10)
    model.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    return model


@pytest.mark.parametrize(
    ("overrides", "original", "inside"),
    [
        (
            ("encoder=preact_resnet18", "encoder.width=4"),
            lambda: preact_resnet18(num_classes=10, image=(1, 8, 8), **STATISTICS, width=4),
            True,
        ),
        pytest.param(TORCHVISION, gray_shufflenet, False, marks=pytest.mark.slow),
        (TIMM, lambda: timm.create_model("test_resnet", num_classes=10, in_chans=1), False),
        (OWN, lambda: Own(10, 16), False),
        pytest.param(("encoder=torchvision", "encoder.name=resnet50"), gray_resnet50, False, marks=pytest.mark.slow),
    ],
    ids=["preact_resnet18", "torchvision", "timm", "own", "resnet50"],
)
def test_the_original_class_loads_the_weights_strictly(
    overrides: tuple[str, ...], original: Any, inside: bool, tmp_path: Path
) -> None:
    """``inside``: the class normalises itself; the others are given normalised images, as without us."""
    path = checkpoint(tmp_path / "run", *overrides)
    file = exported(path)
    assert file == tmp_path / "run" / "export" / "best.safetensors"
    with safe_open(file, "pt") as opened:
        description = json.loads(opened.metadata()["gat_lightning"])
    mean, std = (torch.tensor(description[name]).view(-1, 1, 1) for name in ("mean", "std"))
    model = original()
    if inside:
        model.normalize.mean, model.normalize.std = mean, std
    assert {*load_file(file)} == {*model.state_dict()}
    model.load_state_dict(load_file(file), strict=True)
    with torch.no_grad():
        expected = load_classifier(path)(IMAGES)
        found = model.eval()(IMAGES if inside else (IMAGES - mean) / std)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_the_description_is_complete_and_holds_nothing_private(tmp_path: Path) -> None:
    weights = tmp_path / "secret" / "theirs.pt"
    weights.parent.mkdir()
    torch.save(timm.create_model("test_resnet", num_classes=10, in_chans=1).state_dict(), weights)
    file = exported(checkpoint(tmp_path / "run", *TIMM, f"encoder.weights={weights}"))
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    assert str(tmp_path) not in str(metadata)
    assert json.loads(metadata["gat_lightning"]) == {
        "target": "class",
        "kind": "multiclass",
        "outputs": 10,
        "classes": [str(digit) for digit in range(10)],
        "image": [1, 8, 8],
        "mean": [0.5],  # timm's for these weights
        "std": [0.5],
        "encoder": {
            "_target_": "gat_lightning.models.timm_classifier",
            "_partial_": True,
            "name": "test_resnet",
        },
        "patients": None,
        "inputs": "float32 [batch, channels, height, width], pixels in [0, 1]",
        "version": json.loads(metadata["gat_lightning"])["version"],
    }


def test_a_checkpoint_is_rebuilt_without_the_weights_that_it_began_with(tmp_path: Path) -> None:
    weights = tmp_path / "theirs.pt"
    torch.save(timm.create_model("test_resnet", num_classes=10, in_chans=1).state_dict(), weights)
    path = checkpoint(tmp_path / "run", *TIMM, f"encoder.weights={weights}")
    before = load_classifier(path)(IMAGES)
    weights.unlink()
    assert torch.equal(load_classifier(path)(IMAGES), before)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [("encoder.width=4",), TIMM, OWN], ids=["ours", "timm", "own"])
def test_torchscript_needs_nothing_of_ours(overrides: tuple[str, ...], tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "run", *overrides)
    file = exported(path, "format=torchscript")
    np.save(tmp_path / "images.npy", IMAGES.numpy())
    code = (
        "import sys, warnings; warnings.simplefilter('ignore'); import numpy, torch\n"
        f"model = torch.jit.load({str(file)!r})\n"
        f"images = torch.from_numpy(numpy.load({str(tmp_path / 'images.npy')!r}))\n"
        f"numpy.save({str(tmp_path / 'logits.npy')!r}, torch.cat([model(images[:4]), model(images[4:])]).detach())\n"
        "assert 'gat_lightning' not in sys.modules and 'timm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    logits = torch.from_numpy(np.load(tmp_path / "logits.npy"))
    torch.testing.assert_close(logits, load_classifier(path)(IMAGES).detach(), atol=1e-6, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides", [("encoder.width=4",), TIMM, TORCHVISION, OWN], ids=["ours", "timm", "torchvision", "own"]
)
def test_onnx_takes_any_batch(overrides: tuple[str, ...], tmp_path: Path) -> None:
    import onnxruntime

    path = checkpoint(tmp_path / "run", *overrides)
    file = exported(path, "format=onnx")
    assert [each.name for each in file.parent.iterdir()] == ["best.onnx"]
    session = onnxruntime.InferenceSession(str(file))
    expected = load_classifier(path)(IMAGES).detach()
    for size in (1, 2, 5):
        (logits,) = session.run(["logits"], {"images": IMAGES[:size].numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), expected[:size], atol=1e-4, rtol=1e-4)


def test_what_is_printed_works(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, ending in (("safetensors", "safetensors"), ("torchscript", "pt")):
        file = exported(small, f"format={name}", f"output={tmp_path / 'mine'}.{ending}")
        headline, _, *code = capsys.readouterr().out.splitlines()
        assert headline.startswith(f"{file}: ")
        assert len(code) == 4
        variables: dict[str, Any] = {}
        with pytest.warns((FutureWarning, DeprecationWarning)) if name == "torchscript" else nullcontext():
            exec("\n".join(code), variables)
        assert torch.equal(variables["model"](IMAGES), load_classifier(small)(IMAGES))


def test_nothing_is_overwritten(small: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    file.write_text("precious")
    with pytest.raises(UserError, match="is there already"):
        exported(small, f"output={file}")
    assert file.read_text() == "precious"


def test_an_own_encoder_keeps_its_argument_called_weights(tmp_path: Path) -> None:
    path = checkpoint(
        tmp_path / "run",
        encoder("Weighted"),
        "~encoder.width",
        "+encoder.weights=[1,-2]",
    )
    classifier, description = read_classifier(exported(path))
    assert torch.equal(classifier(IMAGES), load_classifier(path)(IMAGES))
    assert classifier.weights == [1, -2]
    assert (description.mean, description.std) == ((0,), (1,))  # it is called with pixels in [0, 1] as they are


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("form", ["safetensors", "torchscript", pytest.param("onnx", marks=pytest.mark.slow)])
def test_own_encoders_of_other_types_are_trained_and_exported_in_float32(form: str, dtype: str, tmp_path: Path) -> None:
    path = checkpoint(
        tmp_path / "run",
        encoder("precise"),
        "~encoder.width",
        f"+encoder.dtype={dtype}",
    )
    classifier = load_classifier(path)
    assert {value.dtype for value in classifier.state_dict().values() if value.is_floating_point()} == {torch.float32}
    assert exported(path, f"format={form}").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("form", [Safetensors(), TorchScript(), ONNX()], ids=lambda form: form.suffix)
def test_a_format_takes_classifiers_of_any_type(form: Format, small: Path, tmp_path: Path) -> None:
    """Of a library call; the file takes images in float32, and the classifier stays as it was."""
    classifier, description = load_described(small)
    expected, path = classifier(IMAGES).detach(), tmp_path / f"mine{form.suffix}"
    form.write(classifier.double(), description, path)
    torch.testing.assert_close(form.read(path)(IMAGES), expected, atol=1e-5, rtol=1e-5)
    assert next(classifier.parameters()).dtype == torch.float64


def test_wrong_settings_are_refused(small: Path, tmp_path: Path) -> None:
    for overrides, message in (
        (["checkpoint=null"], "Say what to export"),
        (["checkpoint=nowhere.ckpt"], "no checkpoint 'nowhere.ckpt'"),
        ([f"checkpoint={small}", "output=mine.onnx"], "ends in .safetensors"),
    ):
        with pytest.raises(UserError, match=message):
            run(composed("export", *overrides))


@pytest.mark.parametrize(("name", "package"), [("safetensors", "safetensors.torch"), ("onnx", "onnxscript")])
def test_missing_extra_is_named(
    name: str, package: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=r"pip install 'gat-lightning\[export\]'"):
        exported(small, f"format={name}", f"output={tmp_path / 'mine'}.{name}")
    assert not list(tmp_path.iterdir())


def scores(directory: Path, *overrides: str) -> dict[str, float]:
    directory.mkdir()
    common = ("evaluation=pgd10", "images=60", "pictures=false", f"paths.run={directory}")
    result = evaluate(composed("evaluate", *common, *overrides))
    (metrics,) = result.metrics.values()
    return metrics


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_exports_are_evaluated_like_their_checkpoint(quickstart: Any, tmp_path: Path) -> None:
    path = quickstart[0] / "checkpoints" / "best.ckpt"
    weights = exported(path, f"output={tmp_path / 'a.safetensors'}")
    script = exported(path, "format=torchscript", f"output={tmp_path / 'a.pt'}")
    description = read_classifier(weights)[1]
    mean, std = list(description.mean), list(description.std)
    expected = scores(tmp_path / "0", f"checkpoint={path}")
    assert expected["test/clean/accuracy"] > 0.2
    assert scores(tmp_path / "1", f"checkpoint={weights}", "data=digits") == expected
    assert scores(tmp_path / "2", "++model._target_=torch.jit.load", f"++model.f={script}", "data=digits") == expected
    factory = (
        "++model._target_=gat_lightning.models.preact_resnet_small", "++model.num_classes=10", "++model.width=4",
        "++model.image=[1,8,8]", f"++model.mean={mean}", f"++model.std={std}",
    )  # fmt: skip
    assert scores(tmp_path / "3", *factory, f"weights={weights}", "data=digits") == expected


@pytest.mark.slow
def test_an_export_needs_the_data_that_it_was_trained_on(small: Path, tmp_path: Path) -> None:
    file = exported(small, f"output={tmp_path / 'a.safetensors'}")
    foreign = tmp_path / "foreign.safetensors"
    save_file(load_file(file), foreign)
    for overrides, message in (
        ([f"checkpoint={file}"], "choose data=NAME"),
        ([f"checkpoint={file}", "data=digits", "++data.target=macro"], "The target of checkpoint=.* is 'class'"),
        ([f"checkpoint={file}", "data=digits", "split=val"], "does not hold which images .* leave out split=val"),
        ([f"checkpoint={foreign}", "data=digits"], "was not written by gat_lightning.export"),
        ([f"checkpoint={tmp_path}/no.safetensors", "data=digits"], "cannot be read as a safetensors file"),
    ):
        with pytest.raises(UserError, match=message):
            load_subject(composed("evaluate", *overrides))


def test_a_stranger_s_export_runs_nothing_of_its_choice(small: Path, tmp_path: Path) -> None:
    file = exported(small, f"output={tmp_path / 'a.safetensors'}")
    with safe_open(file, "pt") as opened:
        content = json.loads(opened.metadata()["gat_lightning"])
    content["encoder"] = {"_target_": "os.mkdir", "path": str(tmp_path / "proof")}
    save_file(load_file(file), file, {"gat_lightning": json.dumps(content)})
    with pytest.raises(UserError, match=r"names 'os\.mkdir'"):
        read_classifier(file)
    assert not (tmp_path / "proof").exists()

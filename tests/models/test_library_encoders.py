"""Classifiers of torchvision and timm by name: channels, sizes, weights and what is said where they cannot be had."""

import hashlib
import inspect
import json
import logging
import sys
from types import SimpleNamespace

import pytest
import timm
import torch
from hydra.utils import instantiate
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from gat_lightning.config.check import check
from gat_lightning.errors import UserError
from gat_lightning.models import attach_tasks
from gat_lightning.models.encoders.timm import timm_classifier
from gat_lightning.models.encoders.torchvision import torchvision_classifier
from gat_lightning.models.normalize import normalization_of
from gat_lightning.models.weights import without_initial_weights
from support.configurations import composed

SMALL = {"torchvision": (torchvision_classifier, "shufflenet_v2_x0_5"), "timm": (timm_classifier, "test_resnet")}
both = pytest.mark.parametrize(("make", "name"), SMALL.values(), ids=SMALL)


def settings(channels=3, size=32, classes=5):
    return {
        "num_classes": classes,
        "image": (channels, size, size),
        "mean": (0.3,) * channels,
        "std": (0.4,) * channels,
    }


def without_statistics(*shape, **more):
    """The settings of an encoder that begins with weights: these bring their normalisation."""
    return settings(*shape, **more) | {"mean": None, "std": None}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@both
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_takes_the_channels_of_the_images_and_normalises(make, name, channels):
    classifier = make(name=name, **settings(channels)).eval()
    images = torch.rand(2, channels, 32, 32)
    logits = classifier(images)
    assert logits.shape == (2, 5)
    assert normalization_of(classifier) == (pytest.approx([0.3] * channels), pytest.approx([0.4] * channels))
    classifier._forward_pre_hooks.clear()
    torch.testing.assert_close(classifier((images - 0.3) / 0.4), logits)


def test_class_and_keys_are_the_library_s():
    classifier = torchvision_classifier(name="resnet18", **settings())
    original = models.resnet18(num_classes=5)
    assert type(classifier) is type(original)
    original.load_state_dict(classifier.state_dict(), strict=True)
    classifier = timm_classifier(name="test_resnet", **settings())
    original = timm.create_model("test_resnet", num_classes=5)
    assert type(classifier) is type(original)
    original.load_state_dict(classifier.state_dict(), strict=True)


def test_transformers_take_the_size_of_the_images():
    for classifier in (
        timm_classifier(name="test_vit", **settings(1, 48)),
        torchvision_classifier(name="vit_b_32", **settings(1, 64)),
    ):
        size = classifier.patch_embed.img_size[0] if hasattr(classifier, "patch_embed") else classifier.image_size
        model = attach_tasks(classifier, [], image=(1, size, size))
        assert model.features.stages == ()


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
@pytest.mark.slow
def test_auxiliary_classifiers_are_left_out(name):
    model = attach_tasks(torchvision_classifier(name=name, **settings(1, 96)), [], image=(1, 96, 96))
    assert model.train()(torch.rand(2, 1, 96, 96))["class"].shape == (2, 5)


@both
def test_weights_from_a_file_with_other_classes_and_channels(make, name, tmp_path, caplog):
    theirs = make(name=name, **settings(classes=9)).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(0, 0.2)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    for file in ("theirs.pt", "theirs.safetensors"):
        with caplog.at_level(logging.WARNING):
            ours = make(name=name, weights=str(tmp_path / file), **settings()).eval()
        assert "for 9 classes was replaced by a new one for 5" in caplog.text
        caplog.clear()
        same = [key for key, value in ours.state_dict().items() if torch.equal(value, theirs.state_dict()[key])]
        assert {*theirs.state_dict()} - {*same} == {"fc.weight", "fc.bias"}

    gray = make(name=name, weights=str(tmp_path / "theirs.pt"), **settings(1, classes=9)).eval()
    assert not caplog.text
    images = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(gray(images), theirs(images.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)


@both
def test_weights_that_do_not_fit_are_refused(make, name, tmp_path):
    torch.save({"fc.weight": torch.zeros(5, 7)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"weights=.*other.pt is not for this"):
        make(name=name, weights=str(tmp_path / "other.pt"), **settings())
    with pytest.raises(ValueError, match=r"weights='nowhere.pt': it must be a file that exists"):
        make(name=name, weights="nowhere.pt", **settings())
    with pytest.raises(ValueError, match="exclude each other"):
        make(name=name, weights="nowhere.pt", pretrained=True, **settings())


@both
def test_nothing_is_read_where_other_weights_follow(make, name):
    with without_initial_weights():
        classifier = make(name=name, weights="nowhere.pt", **settings())
    assert isinstance(classifier, nn.Module)


@pytest.fixture
def downloaded(monkeypatch):
    """Stands in for the network: gives the weights of a model for 1000 classes, made by the library itself."""
    given = {}

    def torchvision_weights(weights, **_):
        given["name"] = weights.name
        return given["state"]

    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", torchvision_weights)
    return given


def test_pretrained_weights_bring_their_normalisation(downloaded):
    theirs = models.shufflenet_v2_x0_5().eval()
    downloaded["state"] = theirs.state_dict()
    ours = torchvision_classifier(name="shufflenet_v2_x0_5", pretrained=True, **without_statistics())
    assert downloaded["name"] == models.ShuffleNet_V2_X0_5_Weights.DEFAULT.name
    preset = models.ShuffleNet_V2_X0_5_Weights.DEFAULT.transforms()
    assert normalization_of(ours) == (pytest.approx(preset.mean), pytest.approx(preset.std))
    assert torch.equal(ours.conv5[0].weight, theirs.conv5[0].weight)
    assert ours.fc.out_features == 5
    gray = torchvision_classifier(name="shufflenet_v2_x0_5", pretrained="IMAGENET1K_V1", **without_statistics(1))
    torch.testing.assert_close(gray.conv1[0].weight, theirs.conv1[0].weight.sum(1, keepdim=True))
    assert normalization_of(gray)[0] == pytest.approx([sum(preset.mean) / 3])

    del downloaded["state"]
    with without_initial_weights():
        rebuilt = torchvision_classifier(name="shufflenet_v2_x0_5", pretrained=True, **without_statistics(1))
    assert normalization_of(rebuilt) == normalization_of(gray)


def test_input_transform_of_the_library_is_part_of_the_normalisation(downloaded):
    """GoogLeNet with pretrained weights rescales what was normalised for ImageNet: in all, (x - 0.5) / 0.5."""
    with without_initial_weights():
        ours = torchvision_classifier(name="googlenet", pretrained=True, **without_statistics(3, 64)).eval()
    theirs = models.GoogLeNet(5, aux_logits=False, transform_input=True, init_weights=False).eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.rand(2, 3, 64, 64)
    preset = models.GoogLeNet_Weights.DEFAULT.transforms()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preset.mean, preset.std))
    torch.testing.assert_close(ours(images), theirs((images - mean) / std), rtol=1e-4, atol=1e-4)


IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def logits_of(original, state, images, mean, std):
    """What the library's own class gives for images that are normalised outside of it."""
    original.load_state_dict(state)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
    return original.eval()((images - mean) / std)


def published(name):
    """The library's own classifier, without a network."""
    return models.get_model(name) if name in models.list_models() else timm.create_model(name)


@both
def test_weights_of_a_file_are_normalised_as_the_library_publishes_them(make, name, downloaded, tmp_path, caplog):
    """The file is what ``pretrained=true`` downloads, so that both give the same logits."""
    theirs = published(name)
    preset = (
        IMAGENET
        if make is torchvision_classifier
        else tuple(map(list, (theirs.pretrained_cfg[k] for k in ("mean", "std"))))
    )
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    with caplog.at_level(logging.INFO):
        ours = make(name=name, weights=str(tmp_path / "theirs.pt"), **without_statistics(classes=1000)).eval()
    images = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(
        ours(images), logits_of(theirs, ours.state_dict(), images, *preset), rtol=1e-4, atol=1e-5
    )
    assert "Set mean and std if these weights were trained with others" in caplog.text
    if make is torchvision_classifier:
        downloaded["state"] = theirs.state_dict()
        pretrained = make(name=name, pretrained=True, **without_statistics(classes=1000)).eval()
        assert torch.equal(pretrained(images), ours(images))


@both
def test_a_normalisation_that_is_given_goes_before_that_of_the_weights(make, name, downloaded, tmp_path, caplog):
    downloaded["state"] = published(name).state_dict()
    torch.save(downloaded["state"], tmp_path / "theirs.pt")
    ours = make(name=name, weights=str(tmp_path / "theirs.pt"), **settings())
    assert normalization_of(ours) == (pytest.approx([0.3] * 3), pytest.approx([0.4] * 3))
    assert "were trained with" not in caplog.text
    if make is torchvision_classifier:
        ours = make(name=name, pretrained=True, **settings())
        assert normalization_of(ours) == (pytest.approx([0.3] * 3), pytest.approx([0.4] * 3))
        assert "the pretrained weights were trained with mean [0.485, 0.456, 0.406]" in caplog.text


@both
def test_half_a_normalisation_or_none_without_weights_is_refused(make, name):
    with pytest.raises(ValueError, match="std=None: it must be set too, since mean and std go together"):
        make(name=name, **settings() | {"std": None})
    with pytest.raises(ValueError, match="mean=None: it must be given, since there are no initial weights"):
        make(name=name, **without_statistics())
    with pytest.raises(ValueError, match=r"mean=\[123.7, 116.3, 103.5\].*divide those of pixels in 0..255 by 255"):
        make(name=name, **settings() | {"mean": (123.7, 116.3, 103.5)})


@both
def test_an_exported_file_says_what_its_weights_were_normalised_with(make, name, tmp_path):
    theirs = make(name=name, **settings()).eval()
    said = {"mean": [0.3] * 3, "std": [0.4] * 3}
    file = tmp_path / "export.safetensors"
    save_file(theirs.state_dict(), file, {"gat_lightning": json.dumps(said)})
    ours = make(name=name, weights=str(file), **without_statistics()).eval()
    images = torch.rand(4, 3, 32, 32)
    assert torch.equal(ours(images), theirs(images))
    save_file(theirs.state_dict(), file, {"gat_lightning": json.dumps(said | {"std": [76.5] * 3})})
    with pytest.raises(ValueError, match=r"weights=.*undamaged export.*std=\[76.5"):
        make(name=name, weights=str(file), **without_statistics())


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Weights of a small classifier as the Hub's client keeps them: a link that leads to a file named by its sum."""
    theirs = timm.create_model("test_resnet")
    save_file(theirs.state_dict(), tmp_path / "blob")
    blob = (tmp_path / "blob").rename(tmp_path / hashlib.sha256((tmp_path / "blob").read_bytes()).hexdigest())
    link, asked = tmp_path / "model.safetensors", []
    link.symlink_to(blob)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *names: asked.append(names) or str(link))
    return theirs, blob, link, asked


def test_timm_weights_bring_their_normalisation(hub):
    theirs, _, _, asked = hub
    classifier = timm_classifier(name="test_resnet", pretrained="r160_in1k", **without_statistics(1))
    preset = timm.models.get_pretrained_cfg("test_resnet.r160_in1k")
    assert asked == [(preset.hf_hub_id, "model.safetensors")]
    assert normalization_of(classifier)[0] == pytest.approx([sum(preset.mean) / 3])
    taken, given = classifier.state_dict(), theirs.state_dict()
    assert all(torch.equal(taken[key], given[key]) for key in given if "layer" in key)
    with without_initial_weights():
        timm_classifier(name="test_resnet", pretrained=True, **without_statistics(1))
    assert len(asked) == 1


def test_timm_weights_with_another_sum_are_not_read(hub, monkeypatch):
    _, blob, link, _ = hub
    said = blob.name
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match=rf"sum [0-9a-f]{{64}}, not {said}; delete it and try again"):
        timm_classifier(name="test_resnet", pretrained=True, **settings())
    blob.replace(link)  # a file system without links
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda url: SimpleNamespace(etag=said))
    with pytest.raises(ValueError, match=f"not {said}; delete it"):
        timm_classifier(name="test_resnet", pretrained=True, **settings())


@both
def test_without_a_network_one_message_says_what_to_do(make, name, monkeypatch):
    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", fail)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    mean, std = ("0.485,0.456,0.406", "0.229,0.224,0.225") if make is torchvision_classifier else (["0.5,0.5,0.5"] * 2)
    advice = rf"no route to host.*pretrained=false weights=FILE mean=\[{mean}\] std=\[{std}\]"
    with pytest.raises(ValueError, match=advice):
        make(name=name, pretrained=True, **settings())


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"pip install 'gat-lightning\[encoders\]'"):
        timm_classifier(name="test_resnet", **settings())


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (torchvision_classifier, {"name": "resnet_50"}, "did you mean .*resnet50"),
        (timm_classifier, {"name": "resnet_50"}, "did you mean .*resnet50"),
        (torchvision_classifier, {"name": "fcn_resnet50"}, "it must be a classifier of torchvision"),
        (torchvision_classifier, {"name": "resnet18", "pretrained": "V2"}, "true or one of: IMAGENET1K_V1"),
        (timm_classifier, {"name": "test_resnet", "pretrained": "V2"}, "true or one of: r160_in1k"),
        (timm_classifier, {"name": "coatnet_0_224", "pretrained": True}, "timm has no weights for coatnet_0_224"),
        (torchvision_classifier, {"name": "vit_b_16", "image": (3, 33, 33)}, "can be made for images"),
        (torchvision_classifier, {"name": "vit_b_16", "image": (3, 32, 64)}, "not only square images"),
    ],
)
def test_wrong_settings_are_refused(make, changes, message):
    with pytest.raises(ValueError, match=message):
        make(**{**settings(), **changes})


def test_images_that_are_too_small_are_refused_with_their_shape():
    classifier = torchvision_classifier(name="squeezenet1_1", **settings(1, 8))
    with pytest.raises(ValueError, match=r"no torch.nn.Linear"):
        attach_tasks(classifier, [], image=(1, 8, 8))
    classifier = torchvision_classifier(name="alexnet", **settings(1, 8))
    with pytest.raises(ValueError, match=r"cannot process images of shape \(1, 8, 8\)"):
        attach_tasks(classifier, [], image=(1, 8, 8))


@pytest.mark.parametrize(("option", "make"), [("torchvision", torchvision_classifier), ("timm", timm_classifier)])
def test_settings_of_the_command_line(option, make):
    typed = ["experiment=quickstart", f"encoder={option}", "paths.run=."]
    config, wrong = composed("train", *typed), composed("train", *typed, "encoder.name=18")
    check(config)
    assert instantiate(config.encoder).func is make
    assert {*config.encoder} - {"_target_", "_partial_"} < {*inspect.signature(make).parameters}
    with pytest.raises(UserError, match=r"encoder.name=18: it must be text"):
        check(wrong)

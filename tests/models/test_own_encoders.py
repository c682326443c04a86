"""What is said of a model of one's own that cannot be called as encoders are."""

import pytest
from omegaconf import OmegaConf
from torch import nn

from gat_lightning.config.check import check_encoder
from gat_lightning.config.files import GIVEN_TO_ENCODERS
from gat_lightning.errors import UserError

HERE = "test_own_encoders"


class Plain(nn.Module):
    def __init__(self, num_classes):
        super().__init__()


class Deep(nn.Module):
    def __init__(self, num_classes, image, mean, std, depth):
        super().__init__()


def anything(**settings):
    return nn.Identity()


def as_encoders_are(num_classes, image, mean, std, depth=3):
    return nn.Identity()


def checked(target, **settings):
    check_encoder(OmegaConf.create({"_target_": target, "_partial_": True, **settings}))


def test_a_model_that_does_not_take_what_encoders_are_given():
    with pytest.raises(UserError) as refused:
        checked(f"{HERE}.Plain")
    assert str(refused.value) == (
        f"encoder._target_={HERE}.Plain is called with num_classes, image, mean, std; it does not take image, mean,"
        " std: let it accept them, by name or as **kwargs."
    )


def test_a_model_that_wants_more():
    with pytest.raises(UserError, match=r"Deep needs depth: set \+encoder.depth=VALUE"):
        checked(f"{HERE}.Deep")
    checked(f"{HERE}.Deep", depth=3)


@pytest.mark.parametrize(
    ("target", "remedy"),
    [
        ("torchvision.models.resnet18", "encoder=torchvision encoder.name=resnet18"),
        ("torchvision.models.ResNet", "encoder=torchvision encoder.name=NAME"),
        ("timm.create_model", "encoder=timm encoder.name=NAME"),
        ("timm.models.resnet18", "encoder=timm encoder.name=resnet18"),
    ],
)
def test_models_of_libraries_have_options(target, remedy):
    pytest.importorskip(target.split(".")[0])
    with pytest.raises(UserError, match=f"{target} cannot be called .*: choose {remedy} instead"):
        checked(target)


@pytest.mark.parametrize("name", ["anything", "as_encoders_are"])
def test_what_can_be_called_so_passes(name):
    assert GIVEN_TO_ENCODERS == ("num_classes", "image", "mean", "std")
    checked(f"{HERE}.{name}")

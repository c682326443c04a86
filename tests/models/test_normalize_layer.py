import copy

import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.transforms.v2 import functional as tvf

from gat_lightning.models import Normalize, normalized, preact_resnet_small

MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)


def test_equals_torchvision():
    images = torch.rand(4, 3, 5, 6)
    torch.testing.assert_close(Normalize(MEAN, STD)(images), tvf.normalize(images, list(MEAN), list(STD)))


def test_one_channel_and_differentiable():
    images = torch.rand(2, 1, 4, 4, requires_grad=True)
    Normalize([0.5], [0.25])(images).sum().backward()
    torch.testing.assert_close(images.grad, torch.full_like(images, 4.0))


def test_wrong_number_of_channels_does_not_broadcast():
    with pytest.raises(ValueError, match="3 channels, the images have 1"):
        Normalize(MEAN, STD)(torch.rand(2, 1, 4, 4))


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.2, 0.2)), ((0.5,), (0.0,)), ((0.5,), (-1.0,))])
def test_impossible_constants_are_refused(mean, std):
    with pytest.raises(ValueError, match="normalisation needs"):
        Normalize(mean, std)
    with pytest.raises(ValueError, match="normalisation needs"):
        normalized(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), mean, std)


def test_is_not_in_the_state_dict_and_follows_the_type():
    layer = Normalize(MEAN, STD)
    assert layer.state_dict() == {}
    assert layer.double()(torch.rand(1, 3, 2, 2, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    "make", [lambda: resnet18(num_classes=5), lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5))]
)
def test_existing_classifier(make):
    plain = make().eval()
    keys, images = list(plain.state_dict()), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        expected = plain(tvf.normalize(images, list(MEAN), list(STD)))
        model = normalized(plain, MEAN, STD)
        twin = copy.deepcopy(model).double()
        assert model is plain
        assert list(model.state_dict()) == list(twin.state_dict()) == keys
        torch.testing.assert_close(model(images), expected)
        torch.testing.assert_close(twin(images.double()).float(), expected, atol=1e-4, rtol=1e-4)


def test_twice_is_refused():
    model = normalized(nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), MEAN, STD)
    with pytest.raises(ValueError, match="normalises its input already"):
        normalized(model, MEAN, STD)
    ours = preact_resnet_small(num_classes=2, image=(3, 8, 8), mean=MEAN, std=STD)
    with pytest.raises(ValueError, match="normalises its input already"):
        normalized(ours, MEAN, STD)

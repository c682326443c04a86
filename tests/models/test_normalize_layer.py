import copy

import pytest
import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.transforms.v2 import functional as tvf

from gat_lightning.info import DataInfo
from gat_lightning.models import Normalize, attach_tasks, normalized, preact_resnet_small
from gat_lightning.models.normalize import normalization_of

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


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.5,), (0.2, 0.2), r"std=\[0.2, 0.2\]: it must be one number per channel, as mean=\[0.5\] is"),
        ((0.5,), (0.0,), r"std=\[0.0\]: it must be .*above 0 and at most 1"),
        ((0.5,), (-1.0,), r"std=\[-1.0\]: it must be .*above 0 and at most 1"),
        ((0.5,), (float("nan"),), r"std=\[nan\]: it must be .*above 0 and at most 1"),
        ((125.3, 123.0, 113.9), (0.2, 0.2, 0.2), r"mean=\[125.3, 123.0, 113.9\]: it must be .*0..255 by 255"),
        ((0.5,), (63.0,), r"std=\[63.0\]: it must be .*0..255 by 255"),
        ((-0.1,), (0.2,), r"mean=\[-0.1\]: it must be of pixels in \[0, 1\]"),
        ((0.5,), None, "std=None: it must be set too"),
        ("half", (0.2,), "mean='half': it must be a list of numbers, one per channel"),
    ],
)
def test_constants_that_are_not_of_pixels_in_0_to_1_are_refused_wherever_they_enter(mean, std, message):
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    for enter in (
        lambda: Normalize(mean, std),
        lambda: normalized(classifier, mean, std),
        lambda: attach_tasks(classifier, [], image=(1, 2, 2), mean=mean, std=std),
        lambda: DataInfo("mine", (1, 2, 2), mean, std),
    ):
        with pytest.raises(ValueError, match=message):
            enter()
    assert classifier(torch.rand(1, 1, 2, 2)).shape == (1, 2)


class Detector(nn.Module):
    """Normalises by itself, with buffers that are called as those of SAM and Detectron2."""

    def __init__(self):
        super().__init__()
        self.register_buffer("pixel_mean", torch.tensor([10.0]).view(-1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor([5.0]).view(-1, 1, 1), persistent=False)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(((x - self.pixel_mean) / self.pixel_std).flatten(1))


def test_buffers_called_pixel_mean_are_the_model_s_own():
    model, images = Detector(), torch.rand(2, 1, 2, 2)
    assert normalization_of(model) is None
    expected = model((images - 0.5) / 0.25)
    assert torch.equal(normalized(model, [0.5], [0.25])(images), expected)
    assert (model.pixel_mean, model.pixel_std) == (10, 5)
    assert normalization_of(model) == ([0.5], [0.25])
    with pytest.raises(ValueError, match="normalises its input already"):
        normalized(model, [0.5], [0.25])


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

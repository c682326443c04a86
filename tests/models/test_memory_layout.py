"""The channels-last layout where torch would corrupt memory."""

import pytest
import torch
from torch import nn

from gat_lightning.errors import SettingError
from gat_lightning.models.encoding import check_channels_last
from support.training_runs import trained

CPU = torch.device("cpu")


@pytest.mark.parametrize("layer", [nn.Conv2d(15, 8, 1, stride=2), nn.Conv2d(16, 16, 1, stride=(1, 2), groups=4)])
def test_a_strided_convolution_of_few_channels_is_refused(layer):
    model = nn.Sequential(nn.Conv2d(3, 15, 3), layer)
    with pytest.raises(SettingError, match=r"channels_last=True: it must be false .*'1' is a 1x1 convolution"):
        check_channels_last(model, CPU)
    check_channels_last(model, torch.device("cuda"))


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(16, 8, 1, stride=2), nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 3, stride=2), nn.Linear(3, 3)]
)
def test_others_are_not(layer):
    check_channels_last(nn.Sequential(layer), CPU)


def test_a_run_is_refused_before_a_step(tmp_path):
    with pytest.raises(SettingError, match="fewer than 16 "):
        trained(tmp_path, "engine.channels_last=true")

from pathlib import Path

import hydra.utils
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from gat_lightning.models import (
    BasicBlock,
    Bottleneck,
    Features,
    Normalize,
    PreActResNet,
    WideResNet,
    preact_resnet18,
    preact_resnet50,
    preact_resnet_small,
    wide_resnet28_10,
    wide_resnet70_16,
)

CONF = Path(__file__).parents[2] / "conf" / "encoder"


def data(*image):
    return {"image": image, "mean": (0.5,) * image[0], "std": (0.25,) * image[0]}


def tiny(block=BasicBlock, image=(3, 8, 8), num_classes=3):
    return PreActResNet(
        num_classes=num_classes, **data(*image), block=block, layers=(1, 2), widths=(3, 4), stem_width=2
    )


@pytest.mark.parametrize(
    ("factory", "num_classes", "image", "parameters"),
    [
        (preact_resnet_small, 10, (1, 8, 8), 77_562),
        (preact_resnet18, 10, (3, 32, 32), 11_172_170),
        (preact_resnet50, 10, (3, 32, 32), 23_513_162),
        (preact_resnet50, 1000, (3, 224, 224), 25_549_352),
        (wide_resnet28_10, 10, (3, 32, 32), 36_479_194),
        (wide_resnet70_16, 10, (3, 32, 32), 266_796_506),
    ],
)
def test_parameter_counts(factory, num_classes, image, parameters):
    with torch.device("meta"):
        model = factory(num_classes=num_classes, **data(*image))
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("factory", "image", "stages"),
    [
        (preact_resnet_small, (1, 8, 8), [(4, 8, 8), (8, 4, 4), (16, 2, 2)]),
        (preact_resnet18, (3, 32, 32), [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4)]),
        (preact_resnet18, (1, 64, 33), [(4, 64, 33), (8, 32, 17), (16, 16, 9), (32, 8, 5)]),
        (preact_resnet18, (1, 65, 33), [(4, 17, 9), (8, 9, 5), (16, 5, 3), (32, 3, 2)]),
        (preact_resnet50, (3, 96, 96), [(16, 24, 24), (32, 12, 12), (64, 6, 6), (128, 3, 3)]),
    ],
)
def test_stages_and_stem_by_image_size(factory, image, stages):
    model = factory(num_classes=7, **data(*image), width=4)
    x = torch.rand(2, *image)
    features = model.features(x)
    assert isinstance(features, Features)
    assert [tuple(stage.shape[1:]) for stage in features.stages] == stages
    assert features.pooled.shape == (2, stages[-1][0])
    assert model(x).shape == (2, 7)
    assert [type(layer) for layer in model.stem] == ([nn.Conv2d] if max(image) <= 64 else [nn.Conv2d, nn.MaxPool2d])


def test_wide_resnet_stages():
    model = WideResNet(num_classes=2, **data(3, 16, 16), depth=10, widen_factor=1)
    assert [tuple(stage.shape[1:]) for stage in model.features(torch.rand(1, 3, 16, 16)).stages] == [
        (16, 16, 16),
        (32, 8, 8),
        (64, 4, 4),
    ]


def test_first_layer_normalises_and_state_dict_has_only_learnt_things():
    model = tiny().eval()
    assert isinstance(next(iter(model.children())), Normalize)
    assert not any("normalize" in key for key in model.state_dict())
    x = torch.rand(2, 3, 8, 8)
    expected = model(x)
    model.normalize = nn.Identity()
    torch.testing.assert_close(model((x - 0.5) / 0.25), expected)


def test_preactivation_order():
    """Against the equations of He et al. 2016b written out for one block with and one without projection."""
    torch.manual_seed(0)
    project, keep = BasicBlock(2, 4, 2).eval(), BasicBlock(4, 4, 1).eval()
    x = torch.randn(3, 2, 6, 6)
    scale = (1 + project.norm1.eps) ** -0.5
    activated = torch.relu(scale * x)
    y = project.conv2(torch.relu(scale * project.conv1(activated))) + project.shortcut(activated)
    torch.testing.assert_close(project(x), y)
    assert keep.shortcut is None
    z = keep.conv2(torch.relu(scale * keep.conv1(torch.relu(scale * y)))) + y
    torch.testing.assert_close(keep(y), z)


def test_initialisation():
    torch.manual_seed(0)
    model = preact_resnet18(num_classes=10, **data(3, 32, 32), width=16)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.15)
    assert model.fc.bias.count_nonzero() == 0


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("block", "image"), [(BasicBlock, (1, 6, 6)), (Bottleneck, (3, 6, 6)), (BasicBlock, (3, 66, 10))]
)
def test_double_backward_equals_finite_differences(block, image, training):
    """The curvature term differentiates input gradients with respect to the parameters and to the input."""
    torch.manual_seed(0)
    model = tiny(block, image).double().train(training)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.normal_(1, 0.2)
                module.bias.normal_(0, 0.2)
    x = torch.rand(4, *image, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0])
    variables = [x, *model.parameters()]

    def squared_input_gradient():
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(x), labels), x, create_graph=True)
        return gradient.square().sum()

    exact = torch.autograd.grad(squared_input_gradient(), variables)
    direction = [torch.randn_like(variable) for variable in variables]
    slope = sum((g * d).sum() for g, d in zip(exact, direction, strict=True))

    h = 1e-6

    def shifted(step):
        with torch.no_grad():
            for variable, d in zip(variables, direction, strict=True):
                variable.add_(d, alpha=step)
        return squared_input_gradient()

    difference = (shifted(h) - shifted(-2 * h)) / (2 * h)
    torch.testing.assert_close(slope, difference, rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("file", sorted(CONF.glob("*resnet*.yaml")), ids=lambda file: file.stem)
def test_configuration(file):
    factory = hydra.utils.instantiate(OmegaConf.load(file))
    with torch.device("meta"):
        model = factory(num_classes=4, **data(1, 28, 28))
    assert isinstance(model, PreActResNet)
    assert factory.func.__name__ == file.stem
    assert model.fc.out_features == 4


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="1 channels, but there are 3 means"):
        preact_resnet_small(num_classes=2, image=(1, 8, 8), mean=(0.5,) * 3, std=(0.5,) * 3)
    with pytest.raises(ValueError, match="6n \\+ 4"):
        WideResNet(num_classes=2, **data(3, 8, 8), depth=27, widen_factor=1)
    with pytest.raises(ValueError, match="one entry per stage"):
        PreActResNet(num_classes=2, **data(3, 8, 8), block=BasicBlock, layers=(1, 1), widths=(4, 8, 16), stem_width=4)

"""Double backward of convolutions."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gat_lightning.models.double_backward import fast_double_backward

LAYERS = {
    "with bias": lambda: nn.Conv2d(4, 6, 3),
    "stride, not all rows covered": lambda: nn.Conv2d(4, 6, 3, stride=2, bias=False),
    "two strides and paddings": lambda: nn.Conv2d(4, 6, (3, 2), stride=(3, 2), padding=(2, 1)),
    "1x1 with stride": lambda: nn.Conv2d(4, 6, 1, stride=2),
    "dilated": lambda: nn.Conv2d(4, 6, 3, dilation=2, padding=2),
    "grouped": lambda: nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, groups=4, padding=1),
    "circular": lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
    "same": lambda: nn.Conv2d(4, 6, 3, padding="same"),
}


def derivatives(layer, x, fast):
    """Of a function of the output and of the input gradient: the value, and gradients of input and parameters."""
    torch.manual_seed(1)
    if fast:
        with fast_double_backward():
            output = layer(x)
    else:
        output = layer(x)
    value = (torch.rand_like(output) * output.sin()).sum()
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    value = gradient.cos().sum() + output.square().sum()
    return [output, gradient, value, *torch.autograd.grad(value, [x, *layer.parameters()])]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("layer", LAYERS)
def test_first_and_second_derivatives_are_those_of_torch(layer, layout):
    torch.manual_seed(0)
    made = LAYERS[layer]().double().to(memory_format=layout)
    x = torch.rand(3, 4, 8, 6, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    for ours, theirs in zip(derivatives(made, x, True), derivatives(made, x, False), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


def test_an_activation_may_follow_in_place():
    torch.manual_seed(0)
    layer, x = nn.Conv2d(2, 3, 3).double(), torch.rand(2, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    in_place, other = (nn.Sequential(layer, nn.ReLU(inplace)) for inplace in (True, False))
    for ours, theirs in zip(derivatives(in_place, x, True), derivatives(other, x, False), strict=True):
        torch.testing.assert_close(ours, theirs)


class Kernels(TorchDispatchMode):
    """Names of the convolutions that run, those of a backward with what they compute: input, weight, bias."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "convolution" in str(func):
            self.names.append((str(func), *([args[-1]] if "backward" in str(func) else [])))
        return func(*args, **(kwargs or {}))


def test_each_derivative_is_one_convolution_of_the_usual_kind():
    layer, x = nn.Conv2d(2, 3, 3), torch.rand(2, 2, 5, 5, requires_grad=True)
    with fast_double_backward(), Kernels() as forward:
        output = layer(x)
    with Kernels() as first:
        (gradient,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
    with Kernels() as second:
        torch.autograd.grad(gradient.square().sum(), [x, layer.weight])
    convolution, backward = ("aten.convolution.default",), "aten.convolution_backward.default"
    assert forward.names == first.names == [convolution]
    # By the output's gradient and the weight; then by the input, and by the weight alone.
    assert second.names == [(backward, [True, True, False]), convolution, (backward, [False, True, False])]


def test_without_a_gradient_of_the_input_it_is_the_convolution_of_torch():
    layer, x = nn.Conv2d(2, 3, 3), torch.rand(2, 2, 5, 5)
    with fast_double_backward():
        output = layer(x)
    assert type(output.grad_fn) is type(layer(x).grad_fn)

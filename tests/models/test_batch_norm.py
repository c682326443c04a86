"""Double backward of BatchNorm."""

import pytest
import torch
from torch import nn

from gat_lightning.models.double_backward import fast_double_backward


def net(*shape):
    """Layers of which the double backward goes through both normalisations."""
    torch.manual_seed(0)
    if len(shape) == 2:
        layers = [nn.Linear(shape[1], 4), nn.BatchNorm1d(4), nn.Softplus(), nn.Linear(4, 5), nn.BatchNorm1d(5)]
    else:
        layers = [nn.Conv2d(shape[1], 4, 3), nn.BatchNorm2d(4, momentum=None), nn.Softplus(), nn.Conv2d(4, 5, 2)]
        layers += [nn.BatchNorm2d(5, track_running_stats=False), nn.Softplus(), nn.BatchNorm2d(5, affine=False)]
    made = nn.Sequential(*layers).double()
    for parameter in made.parameters():
        nn.init.uniform_(parameter, -1, 1)
    return made


def squared_input_gradient(model, x, *parameters):
    """A scalar function of the input gradient and of the output."""
    output = torch.func.functional_call(model, dict(zip(dict(model.named_parameters()), parameters, strict=True)), (x,))
    (gradient,) = torch.autograd.grad(output.sin().sum(), x, create_graph=True)
    return gradient.square().sum() + output.cos().sum()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(7, 3), (4, 2, 5, 6)])
def test_first_and_second_derivatives_and_statistics_are_those_of_torch(shape, layout):
    x = torch.rand(*shape, dtype=torch.float64)
    x = (x.contiguous(memory_format=layout) if len(shape) == 4 else x).requires_grad_()
    expected, found = net(*shape), net(*shape)
    derivatives = []
    for model, fast in ((expected, False), (found, True)):
        parameters = list(model.parameters())
        if fast:
            with fast_double_backward():
                value = squared_input_gradient(model, x, *parameters)
        else:
            value = squared_input_gradient(model, x, *parameters)
        derivatives.append([value, *torch.autograd.grad(value, [x, *parameters])])
    for ours, theirs in zip(*derivatives, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(found.buffers(), expected.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_derivatives_are_those_of_finite_differences():
    model, x = net(4, 2, 5, 6), torch.rand(4, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    with fast_double_backward():
        assert torch.autograd.gradcheck(lambda *given: squared_input_gradient(model, *given), (x, *model.parameters()))


def test_eval_mode_is_left_alone():
    model, x = net(7, 3).eval(), torch.rand(7, 3, dtype=torch.float64)
    with fast_double_backward():
        found = model(x)
    assert torch.equal(found, model(x))

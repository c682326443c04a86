"""The stand-in for a GPU refuses and counts what a GPU does."""

import pytest
import torch

from support.stand_in_device import DEVICE, DeviceFaultError, StandInDevice

WAITS = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x[0]),
    "condition": lambda x: bool((x > 0).any()),
    "list": lambda x: x.tolist(),
    "to the CPU": lambda x: x.cpu(),
    "into the CPU": lambda x: torch.zeros(3).copy_(x),
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "mask written": lambda x: x.index_put_((x > 0,), torch.ones((), device=DEVICE)),
    "unique": lambda x: x.unique(),
    "equal": lambda x: torch.equal(x, x),
    "new tensor": lambda x: x.new_tensor([1.0]),
    "tensor": lambda x: torch.tensor(2.0, device=DEVICE),
    "from pageable memory": lambda x: torch.ones(3).to(DEVICE, non_blocking=True),
    "blocking from pinned memory": lambda x: torch.ones(3).pin_memory().to(DEVICE),
}
WAITS_NOT = {
    "from pinned memory": lambda x: torch.ones(3).pin_memory().to(DEVICE, non_blocking=True),
    "fill": lambda x: x.new_full((), 2.0),
    "scalar of the CPU": lambda x: x * torch.tensor(2.0),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "numbers as index": lambda x: x[torch.zeros(2, dtype=torch.long, device=DEVICE)],
    "norm": lambda x: torch.nn.utils.get_total_norm([x, x]),
}
REFUSED = {
    "sum of both": lambda x: x + torch.ones(3),
    "product of both": lambda x: x @ torch.ones(3),
    "index of the CPU": lambda x: x[torch.zeros(2, dtype=torch.long)],
    "stack with a scalar": lambda x: torch.stack([x[0], torch.ones(())]),
    "written into the CPU": lambda x: torch.ones(()).add_(x.sum()),
    "numpy": lambda x: x.numpy(),
    "generator of the CPU": lambda x: torch.rand(3, generator=torch.Generator(), device=DEVICE),
}


@pytest.fixture
def device():
    with StandInDevice() as device:
        yield device


def on(device):
    x = torch.rand(3).to(DEVICE)
    device.begin_step()
    return x


@pytest.mark.parametrize("operation", WAITS.values(), ids=WAITS)
def test_it_counts_what_the_host_waits_for(operation, device):
    operation(on(device))
    assert len(device.synchronisations) == 1
    assert "test_stand_in_device.py:" in device.synchronisations[0]


@pytest.mark.parametrize("operation", WAITS_NOT.values(), ids=WAITS_NOT)
def test_it_does_not_count_the_rest_whose_results_are_on_the_device(operation, device):
    assert operation(on(device)).device == DEVICE
    assert device.synchronisations == []


@pytest.mark.parametrize("operation", REFUSED.values(), ids=REFUSED)
def test_it_refuses_both_devices_in_one_operation(operation, device):
    with pytest.raises(DeviceFaultError, match=r"test_stand_in_device\.py:"):
        operation(on(device))


SELECTIONS = {
    "sort": lambda x: x.sort().values,
    "topk": lambda x: x.topk(2).values,
    "max": lambda x: x.max(0).values,
    "median": lambda x: x.median(0).values,
    "cummax": lambda x: x.cummax(0).values,
    "gather": lambda x: x.gather(0, torch.zeros(2, dtype=torch.long, device=DEVICE)),
    "window": lambda x: x.unfold(0, 2, 1),
}


@pytest.mark.parametrize("select", SELECTIONS.values(), ids=SELECTIONS)
def test_gradients_of_selections_are_made_on_the_device(select, device):
    x = on(device).requires_grad_()
    (gradient,) = torch.autograd.grad(select(x).square().sum(), x)
    assert gradient.device == DEVICE
    assert device.synchronisations == []


def test_gradients_of_tensors_on_the_device_are_on_it(device):
    model = torch.nn.Linear(3, 2).to(DEVICE)
    x = on(device).requires_grad_()
    gradients = torch.autograd.grad(model(x).square().sum(), [x, *model.parameters()])
    assert {gradient.device for gradient in gradients} == {DEVICE}
    assert device.synchronisations == []


def test_afterwards_tensors_are_on_the_cpu():
    with StandInDevice():
        x = torch.rand(3).to(DEVICE)
    assert x.device.type == "cpu"
    assert (x + torch.ones(3)).sum() > 3

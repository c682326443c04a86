"""Values are put back in place, whatever the tensors are."""

import torch

from gat_lightning.attacks.snapshot import snapshot


def test_tensors_of_all_kinds_get_their_values_back_in_place():
    tensors = [
        torch.rand(3, 4, requires_grad=True),
        torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        torch.rand(6, dtype=torch.float64)[::2],
        torch.tensor(7),
        torch.rand(0),
        torch.tensor([True, False]),
    ]
    values = [tensor.tolist() for tensor in tensors]
    put_back = snapshot(tensors)
    with torch.no_grad():
        for tensor in tensors:
            tensor.zero_()
    put_back()
    assert [tensor.tolist() for tensor in tensors] == values
    assert tensors[1].is_contiguous(memory_format=torch.channels_last)
    assert tensors[0].requires_grad


def test_there_may_be_none():
    snapshot([])()

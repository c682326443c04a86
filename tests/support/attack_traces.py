"""What an attack leaves of a model's state."""

from __future__ import annotations

import torch
from torch import nn


def trace(model: nn.Module) -> dict[str, object]:
    return {
        "modes": {name: part.training for name, part in model.named_modules()},
        "trainable": {name: parameter.requires_grad for name, parameter in model.named_parameters()},
        "gradients": {name: parameter.grad for name, parameter in model.named_parameters()},
        "identities": {name: id(tensor) for name, tensor in [*model.named_parameters(), *model.named_buffers()]},
        "values": {name: tensor.tolist() for name, tensor in model.state_dict().items()},
        "generator": torch.get_rng_state().tolist(),
    }

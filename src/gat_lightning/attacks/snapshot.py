"""Values of tensors as they are now, to be put back later."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


@torch.no_grad()
def snapshot(tensors: Iterable[Tensor]) -> Callable[[], None]:
    """Copy some tensors, on a GPU with one operation for each type among them.

    Args:
        tensors: of any shapes, types and devices; their graphs are not recorded.

    Returns:
        A function that puts the values back in place.
    """
    groups: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    copies = {kind: [torch.empty_like(tensor) for tensor in group] for kind, group in groups.items()}
    for kind, group in groups.items():
        torch._foreach_copy_(copies[kind], group)

    @torch.no_grad()
    def put_back() -> None:
        for kind, group in groups.items():
            torch._foreach_copy_(group, copies[kind])

    return put_back

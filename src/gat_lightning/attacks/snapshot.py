"""Values of tensors as they are now, to be put back later."""

from collections.abc import Iterable

import torch
from torch import Tensor


class Snapshot:
    """Copies of some tensors, made and put back with one operation for each type among them on a GPU.

    Args:
        tensors: of any shapes, types and devices; their graphs are not recorded.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        groups: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for tensor in tensors:
            groups.setdefault((tensor.dtype, tensor.device), []).append(tensor)
        with torch.no_grad():
            self._groups = [(group, [torch.empty_like(each) for each in group]) for group in groups.values()]
            for group, copies in self._groups:
                torch._foreach_copy_(copies, group)

    @torch.no_grad()
    def restore(self) -> None:
        """Put the values back, in place."""
        for group, copies in self._groups:
            torch._foreach_copy_(group, copies)

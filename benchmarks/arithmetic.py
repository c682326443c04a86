"""How many multiplications and additions a step of each contestant takes in convolutions and matrix products.

Where these units are busy all the time, as on a CPU, no programming of the same step can be faster than their ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.contestants import CONTESTANTS
from benchmarks.work import Work


class Operations(TorchDispatchMode):
    """Counts floating-point operations; unlike torch's ``FlopCounterMode`` it works with ``autograd.grad``."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operation and add what it costs."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        cost: Callable[..., int] | None = flop_registry.get(func._overloadpacket)
        if cost is not None:
            self.total += cost(*args, **kwargs, out_val=result)
        return result


def operations(name: str, work: Work) -> int:
    """Floating-point operations of one step of a contestant."""
    contestant = CONTESTANTS[name](work)
    with Operations() as counted:
        contestant.step(0)
    return counted.total

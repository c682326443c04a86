"""A stand-in for a GPU: tensors stay on the CPU, are marked as on the device, and what a GPU would refuse is an error.

A tensor is on the device if its storage is marked. Factories with ``device=``, ``.to``, ``.cuda`` and ``.cpu`` set and
take the mark; what an operation makes of a marked tensor is marked. ``tensor.device`` then says ``cuda:0``, so that the
code under test takes the ways that it takes on a GPU. These are errors, each with the lines that led to it:

- an operation on tensors of both devices; a CPU scalar (no dimensions) may take part in pointwise ones, as in CUDA;
- a CPU tensor in a collective, which NCCL refuses;
- a synchronisation inside the loop of an attack, and more than ``most`` in a step.

Synchronisations are the operations whose result the host has to wait for: a value that Python reads (``item``,
``tolist``, ``if tensor``), a shape that depends on values (``nonzero``, boolean indices, ``unique``), ``torch.equal``,
a copy to the CPU, and a copy to the device, unless it is ``non_blocking`` from pinned memory: before a copy from
pageable memory CUDA waits for all work that is queued.
"""

import functools
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import Any, NoReturn
from unittest.mock import patch

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.utils import clip_grad
from torch.utils._python_dispatch import TorchDispatchMode

from support.device_arguments import is_mask, target, tensors
from support.own_lines import in_attack, own_lines

DEVICE = torch.device("cuda", 0)
FACTORIES = (
    "arange", "empty", "empty_like", "eye", "full", "full_like", "linspace", "ones", "ones_like", "rand", "rand_like",
    "randint", "randint_like", "randn", "randn_like", "randperm", "scalar_tensor", "zeros", "zeros_like",
)  # fmt: skip
NEW = ("new_empty", "new_full", "new_ones", "new_zeros")
FROM_HOST = ("as_tensor", "tensor")
READING = ("numpy", "tolist", "__array__")
WAITING = {
    "_linalg_check_errors", "_linalg_eigh", "_linalg_svd", "_local_scalar_dense", "_unique", "_unique2", "bincount",
    "equal", "is_nonzero", "linalg_eig", "masked_select", "nonzero", "repeat_interleave", "unique_consecutive",
    "unique_dim", "unique_dim_consecutive",
}  # fmt: skip
INDEXING = {"index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_"}
COPYING = {"copy_", "_foreach_copy_"}
TAKING_SCALARS = {"fill", "fill_", "index_put", "index_put_", "_index_put_impl_", "masked_fill", "masked_fill_"}
"""Operations that are not pointwise and take a CPU scalar on a GPU."""

Original = Callable[..., Any]


class DeviceFaultError(AssertionError):
    """What a GPU would refuse or wait for."""


class StandInDevice(TorchDispatchMode):
    """The device, while the mode is on.

    Args:
        most: synchronisations in a step.
        memory: free bytes.

    Attributes:
        synchronisations: of the step that runs now, what and where; none are counted between steps.
    """

    def __init__(self, most: int = 4, memory: int = 1 << 33) -> None:
        super().__init__()
        self.most, self.memory = most, memory
        self.synchronisations: list[str] = []
        self._in_step = False
        # Weak references keep the addresses of storages from being used again.
        self._marked: dict[int, Any] = {}
        self._pinned: dict[int, Any] = {}

    def __enter__(self) -> "StandInDevice":
        self._patches = ExitStack()
        changed = [(torch.Tensor, self._methods()), (torch, self._factories()), (torch.cuda, self._of_cuda())]
        grouped = _grouped_on_device(clip_grad._group_tensors_by_device_and_dtype)
        changed.append((clip_grad, {"_group_tensors_by_device_and_dtype": grouped}))
        for owner, values in [*changed, (torch.autocast, {"__init__": _autocast_of_cpu(torch.autocast.__init__)})]:
            self._patches.enter_context(patch.multiple(owner, **values))
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        self._patches.close()

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor is on the device."""
        return tensor.untyped_storage()._cdata in self._marked

    def begin_step(self) -> None:
        """Count from zero, from now on."""
        self.synchronisations, self._in_step = [], True

    def end_step(self) -> None:
        """Count no more."""
        self._in_step = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [*tensors(args), *tensors(kwargs.values())]
        places = [tensor.untyped_storage()._cdata for tensor in given]
        here = [place in self._marked for place in places]
        if func.namespace == "c10d":
            if not all(here):
                raise DeviceFaultError(f"A CPU tensor in the collective {func}: {own_lines()}")
            return func(*args, **kwargs)
        if not any(here) and (given or not _in_formula()):
            return func(*args, **kwargs)
        self._check(func, args, kwargs, given, here)
        result = func(*args, **kwargs)
        for made in tensors(result if isinstance(result, tuple | list) else (result,)):
            if made.untyped_storage()._cdata not in places:
                self._mark(made)
        return result

    def _check(self, func: Any, args: Any, kwargs: Any, given: list[Tensor], here: list[bool]) -> None:
        name = func.overloadpacket.__name__
        if name in COPYING:
            pairs = zip(args[0], args[1], strict=True) if name == "_foreach_copy_" else [args[:2]]
            for into, source in pairs:
                self._copy(into, source, bool(kwargs.get("non_blocking", args[2] if len(args) > 2 else False)))
            return
        scalars = torch.Tag.pointwise in func.tags or name in TAKING_SCALARS or name.startswith("_foreach")
        other = [tensor for tensor, marked in zip(given, here, strict=True) if not marked]
        if any(tensor.dim() or not scalars for tensor in other) or (func._schema.is_mutable and not here[0]):
            shapes = ", ".join(str(list(tensor.shape)) for tensor in other)
            raise DeviceFaultError(
                f"{name} on tensors of both devices, on the CPU those of shape {shapes}: {own_lines()}"
            )
        if name in WAITING or (name in INDEXING and any(is_mask(index) for index in args[1])):
            self._wait(name)

    def _copy(self, into: Tensor, source: Tensor, non_blocking: bool) -> None:
        if self.holds(into) == self.holds(source):
            return
        host = source if self.holds(into) else into
        if not (non_blocking and self._is_pinned(host) and into.dtype == source.dtype):
            self._wait("copy to the device" if host is source else "copy to the CPU")

    def _wait(self, what: str) -> None:
        if not self._in_step:
            return
        self.synchronisations.append(f"{what}: {own_lines()}")
        if in_attack():
            self._refuse(f"{what} waits for the device inside the attack: {own_lines()}")
        if len(self.synchronisations) > self.most:
            several = "".join(f"\n  {each}" for each in self.synchronisations)
            self._refuse(f"A step has more than {self.most} synchronisations:{several}")

    def _refuse(self, message: str) -> NoReturn:
        self.end_step()
        raise DeviceFaultError(message)

    def _mark(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._marked.setdefault(storage._cdata, StorageWeakRef(storage))
        return tensor

    def _is_pinned(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._pinned

    def _moved(self, tensor: Tensor, device: Any, non_blocking: bool = False, pinned: bool = False) -> Tensor:
        """``tensor`` itself, or its copy on the other device."""
        if self.holds(tensor) == (torch.device(device).type == "cuda"):
            return tensor
        to_device = not self.holds(tensor)
        if not (to_device and non_blocking and pinned):
            self._wait("copy to the device" if to_device else "copy to the CPU")
        copy = tensor.clone()
        if to_device:
            return self._mark(copy)
        del self._marked[copy.untyped_storage()._cdata]
        return copy

    def _factory(self, make: Original, from_host: bool) -> Original:
        @functools.wraps(make)
        def made(*args: Any, device: Any = None, pin_memory: bool = False, **kwargs: Any) -> Any:
            result = make(*args, **kwargs)
            if pin_memory:
                self._pinned[result.untyped_storage()._cdata] = StorageWeakRef(result.untyped_storage())
            if device is None or self.holds(result) == (torch.device(device).type == "cuda"):
                return result
            if from_host:
                return self._moved(result, device)
            if self.holds(result):
                del self._marked[result.untyped_storage()._cdata]
                return result
            if kwargs.get("generator") is not None:
                raise DeviceFaultError(f"A generator of the CPU draws on the device: {own_lines()}")
            return self._mark(result)

        return made

    def _factories(self) -> dict[str, Original]:
        return {name: self._factory(getattr(torch, name), name in FROM_HOST) for name in (*FACTORIES, *FROM_HOST)}

    def _of_cuda(self) -> dict[str, Original]:
        return {
            "get_device_name": lambda device=DEVICE: "stand-in",
            "get_rng_state": lambda device=DEVICE: torch.get_rng_state(),
            "set_rng_state": lambda *_: None,
            "device": lambda device: nullcontext(),
            "mem_get_info": lambda device=DEVICE: (self.memory, self.memory),
            "reset_peak_memory_stats": lambda device=DEVICE: None,
            "max_memory_allocated": lambda device=DEVICE: 0,
        }

    def _methods(self) -> dict[str, Any]:
        plain, convert, new_tensor = torch.Tensor.device, torch.Tensor.to, torch.Tensor.new_tensor

        def to(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            device, settings = target(args, kwargs)
            non_blocking = settings.pop("non_blocking", False)
            converted = convert(tensor, **{"dtype": tensor.dtype, **settings})
            if device is None:
                return converted
            pinned = self._is_pinned(tensor) and converted.dtype == tensor.dtype
            return self._moved(converted, device, non_blocking, pinned)

        def pin_memory(tensor: Tensor) -> Tensor:
            if self._is_pinned(tensor):
                return tensor
            pinned = tensor.detach().clone()
            self._pinned[pinned.untyped_storage()._cdata] = StorageWeakRef(pinned.untyped_storage())
            return pinned

        def read(name: str, method: Original) -> Original:
            def reading(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
                if self.holds(tensor):
                    if name != "tolist":
                        raise DeviceFaultError(f"{name} of a tensor on the device: {own_lines()}")
                    self._wait(name)
                return method(tensor, *args, **kwargs)

            return reading

        def at(tensor: Tensor) -> torch.device:
            return DEVICE if self.holds(tensor) else plain.__get__(tensor)  # type: ignore[attr-defined]

        return {
            "device": property(at),
            "is_cuda": property(lambda tensor: self.holds(tensor)),
            "is_cpu": property(lambda tensor: not self.holds(tensor)),
            "get_device": lambda tensor: 0 if self.holds(tensor) else -1,
            "to": to,
            "cpu": lambda tensor, **_: to(tensor, "cpu"),
            "cuda": lambda tensor, device=DEVICE, non_blocking=False, **_: to(
                tensor, device, non_blocking=non_blocking
            ),
            "pin_memory": pin_memory,
            "is_pinned": lambda tensor: self._is_pinned(tensor),
            "new_tensor": self._new_tensor(new_tensor),
            **{name: self._factory(getattr(torch.Tensor, name), False) for name in NEW},
            **{name: read(name, getattr(torch.Tensor, name)) for name in READING},
        }

    def _new_tensor(self, make: Original) -> Original:
        def new_tensor(tensor: Tensor, data: Any, device: Any = None, **kwargs: Any) -> Tensor:
            settings = {"dtype": tensor.dtype, **kwargs}
            return self._moved(torch.tensor(data, **settings), device or tensor.device)

        return functools.wraps(make)(new_tensor)


def _in_formula() -> bool:
    """Whether a formula of torch's own for gradients runs, which makes tensors where the gradient is."""
    node = torch._C._current_autograd_node()
    return node is not None and not isinstance(node, BackwardCFunction)


def _grouped_on_device(group: Original) -> Original:
    """Groups of tensors under the device that they say, not the one that C++ sees."""

    @functools.wraps(group)
    def grouped(lists: Any, *args: Any) -> Any:
        return {(lists[0][0].device, dtype): found for (_, dtype), found in group(lists, *args).items()}

    return grouped


def _autocast_of_cpu(begin: Original) -> Original:
    """An autocast of the device is one of the CPU, where its tensors are."""

    @functools.wraps(begin)
    def beginning(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        begin(self, "cpu" if device_type == DEVICE.type else device_type, *args, **kwargs)

    return beginning

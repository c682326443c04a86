"""Where the objectives' gradients are taken: at the encoder's parameters, or at what the encoder hands to the decoders.

``parameters``: ∇ of θ^s (paper, Algorithms 1 to 3). The ranks' K gradients are *summed* before the Gramian is taken
(objectives are already divided by the joined batch's counts), so that all ranks find the same weights and the step
equals the one-process step on the joined batch.

``representation``: the upper bound of Sener and Koltun ("Multi-task learning as multi-objective optimization", NeurIPS
2018, section 3.3, MGDA-UB). The K gradients stop at the decoders' inputs, which costs next to nothing; their Gramians
are summed over the ranks, and one weighted backward goes through the encoder. Images that went through the encoder in
different passes have different representations: gradients of a clean and of an adversarial loss, or of tasks with
separate views, are orthogonal here by construction.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from gat_lightning.distributed import sum_over_ranks, to_device

_CPU_BLOCK = 1 << 16, 1 << 12
_GPU_BLOCK = 1 << 22, 1 << 12


def gramian(gradients: Tensor) -> Tensor:
    """Inner products of the rows of ``[K, P]``, accumulated in float64: ``[K, K]`` on the same device.

    Float64 keeps squares of gradients from 1e-150 to 1e150 in range, and entries exact to about 1e-14 of the product of
    the two lengths. Columns are converted block by block, so that no float64 copy of the whole is made: 512 KB for each
    row on a CPU, 34 MB on a GPU. A block is a batch of products of 4,096 columns each, which threads and the parts of a
    GPU share out better than one long product with K x K results.

    The work is K² P multiplications and additions, 0.6 Gflop for K=5 rows of 11.2 million parameters (ResNet-18), and
    20 K P bytes of memory traffic, 1.1 GB. With float64 at 1/64 of the speed of float32, as on consumer GPUs (0.3 to
    1.3 Tflop/s), that is 0.4 to 2 ms, about as long as the traffic takes; where float64 is fast, traffic alone counts.
    Kernels that compute larger tiles than K x K take longer by as much: ``benchmarks.gpu`` measures it.
    """
    block, width = _GPU_BLOCK if gradients.is_cuda else _CPU_BLOCK
    whole = gradients.shape[1] // width * width
    rest = gradients[:, whole:].double()
    total = rest @ rest.T
    room = rest.new_empty(len(gradients), min(block, whole))
    for piece in gradients[:, :whole].split(block, dim=1) if whole else ():
        wide = room[:, : piece.shape[1]].copy_(piece).unflatten(1, (-1, width)).transpose(0, 1)
        total += (wide @ wide.mT).sum(0)
    return total


class FlatLayout:
    """Tensors one after another in a flat vector ``[P]``, each in its own memory layout.

    Attributes:
        size: P.
        dtype: of the vector, which holds values of every tensor's; float32 where there are no tensors.
    """

    def __init__(self, like: Sequence[Tensor]) -> None:
        self._like = list(like)
        self._sizes = [tensor.numel() for tensor in self._like]
        self.size = sum(self._sizes)
        types = [tensor.dtype for tensor in self._like]
        self.dtype = reduce(torch.promote_types, types) if types else torch.float32

    def zeros(self, device: torch.device) -> Tensor:
        """A vector of zeros."""
        return torch.zeros(self.size, dtype=self.dtype, device=device)

    def pieces(self, flat: Tensor) -> Iterator[Tensor]:
        """Views into ``flat``, shaped like the tensors, and strided like them where they are dense."""
        for piece, tensor in zip(flat.split(self._sizes), self._like, strict=True):
            if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
                yield piece.as_strided(tensor.shape, tensor.stride(), piece.storage_offset())
            else:
                yield piece.view(tensor.shape)


class GradientSpace(ABC):
    """The K gradients of one step, which may come in parts (micro-batches).

    Attributes:
        inputs: tensors with respect to which gradients are to be taken.
        backward_follows: whether the graphs of a part are needed after its gradients.
    """

    inputs: Sequence[Tensor]
    backward_follows = False

    def __init__(self, shared: Sequence[nn.Parameter]) -> None:
        self._shared = list(shared)
        self._layout = FlatLayout(self._shared)

    @abstractmethod
    def begin_part(self, count: int, representation: Sequence[Tensor], device: torch.device) -> None:
        """Gradients of ``count`` objectives on the next part of the batch follow."""

    @abstractmethod
    def put(self, row: int, gradients: Sequence[Tensor]) -> None:
        """The gradient of one objective with respect to :attr:`inputs`."""

    @abstractmethod
    def gramian(self) -> Tensor:
        """``[K, K]`` of all parts and ranks, float64."""

    @abstractmethod
    def combine(self, weights: Tensor) -> Tensor:
        """Σ w_k ∇ l_k of the shared parameters, ``[P]`` in their layout, of all parts and ranks."""

    @abstractmethod
    def clear(self) -> None:
        """Forget the step."""


class ParameterSpace(GradientSpace):
    """Gradients of the shared parameters, in one ``[K, P]`` buffer that is kept between steps."""

    def __init__(self, shared: Sequence[nn.Parameter]) -> None:
        super().__init__(shared)
        self.inputs = self._shared
        self._buffer = torch.empty(0)
        self._count = 0
        self._first = True

    def begin_part(self, count: int, representation: Sequence[Tensor], device: torch.device) -> None:
        """Make room, the first time."""
        if len(self._buffer) < count or self._buffer.device != device:
            self._buffer = torch.empty(count, self._layout.size, dtype=self._layout.dtype, device=device)
        self._first = self._count == 0
        self._count = count

    def put(self, row: int, gradients: Sequence[Tensor]) -> None:
        """Write the first part's gradient, add the others'."""
        pieces = list(self._layout.pieces(self._buffer[row]))
        if pieces:
            (torch._foreach_copy_ if self._first else torch._foreach_add_)(pieces, list(gradients))

    def gramian(self) -> Tensor:
        """Of the gradients summed over ranks."""
        return gramian(sum_over_ranks(self._rows))

    def combine(self, weights: Tensor) -> Tensor:
        """One product with the buffer."""
        return _like(weights, self._rows) @ self._rows

    def clear(self) -> None:
        """Keep the buffer only."""
        self._count = 0

    @property
    def _rows(self) -> Tensor:
        return self._buffer[: self._count]


class RepresentationSpace(GradientSpace):
    """Gradients of the decoders' inputs, and one backward through the encoder for their weighted sum."""

    backward_follows = True

    def __init__(self, shared: Sequence[nn.Parameter]) -> None:
        super().__init__(shared)
        self._parts: list[tuple[Sequence[Tensor], Tensor]] = []

    def begin_part(self, count: int, representation: Sequence[Tensor], device: torch.device) -> None:
        """Take the part's representation, which no encoder that is frozen needs.

        Raises:
            ValueError: there is none.
        """
        self.inputs = [tensor for tensor in representation if tensor.requires_grad] if self._shared else []
        if self._shared and not self.inputs:
            raise ValueError("space=representation needs the tensors that the encoder handed to the decoders")
        width = sum(tensor.numel() for tensor in self.inputs)
        rows = torch.empty(count, width, dtype=self._layout.dtype, device=device)
        self._parts.append((self.inputs, rows))

    def put(self, row: int, gradients: Sequence[Tensor]) -> None:
        """Write one row of the part."""
        rows = self._parts[-1][1]
        if gradients:
            torch.cat([gradient.flatten().to(rows.dtype) for gradient in gradients], out=rows[row])

    def gramian(self) -> Tensor:
        """The parts' Gramians, summed: they are about different images."""
        return sum_over_ranks(torch.stack([gramian(rows) for _, rows in self._parts]).sum(0))

    def combine(self, weights: Tensor) -> Tensor:
        """Backward through the encoder, part by part."""
        total = self._layout.zeros(self._parts[0][1].device)
        pieces = list(self._layout.pieces(total))
        weights = _like(weights, self._parts[0][1])
        for tensors, rows in self._parts if self._shared else ():
            flat = (weights @ rows).split([tensor.numel() for tensor in tensors])
            outputs = [piece.view_as(tensor).to(tensor.dtype) for piece, tensor in zip(flat, tensors, strict=True)]
            gradients = torch.autograd.grad(
                tensors, self._shared, grad_outputs=outputs, allow_unused=True, materialize_grads=True
            )
            torch._foreach_add_(pieces, list(gradients))
        return sum_over_ranks(total)

    def clear(self) -> None:
        """Let go of the graphs."""
        self._parts, self.inputs = [], []


def _like(weights: Tensor, rows: Tensor) -> Tensor:
    """The weights in the type of gradients and on their device."""
    return to_device(weights.to(rows.dtype), rows.device)


SPACES: dict[str, type[GradientSpace]] = {"parameters": ParameterSpace, "representation": RepresentationSpace}

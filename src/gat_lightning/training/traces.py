"""What a batch changes before its step."""

from torch import nn

from gat_lightning.methods import Method


class Traces:
    """Buffers of a model and the state of a method as they are now, to be put back.

    Args:
        model: whose buffers a batch moves.
        method: whose state it may move.
    """

    def __init__(self, model: nn.Module, method: Method) -> None:
        self._model, self._method = model, method
        self._buffers = [buffer.clone() for buffer in model.buffers()]
        self._state = method.state()

    def undo(self) -> None:
        """Put them back."""
        for buffer, value in zip(self._model.buffers(), self._buffers, strict=True):
            buffer.copy_(value)
        self._method.load_state(self._state)

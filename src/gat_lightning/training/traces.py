"""What a batch changes before its step."""

from torch import nn

from gat_lightning.attacks.snapshot import snapshot
from gat_lightning.methods import Method


class Traces:
    """Buffers of a model and the state of a method as they are now, to be put back.

    Args:
        model: whose buffers a batch moves.
        method: whose state it may move.
    """

    def __init__(self, model: nn.Module, method: Method) -> None:
        self._method = method
        self._put_back = snapshot(model.buffers())
        self._state = method.state()

    def undo(self) -> None:
        """Put them back."""
        self._put_back()
        self._method.load_state(self._state)

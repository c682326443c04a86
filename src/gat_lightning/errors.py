"""Errors for users: of a command, or of the library."""

import errno


class UserError(Exception):
    """Something the user of a command can fix: the message says what is wrong and what would be right.

    Commands print the message alone, without a traceback, and exit with status 1.
    """


class SettingError(ValueError):
    """An argument has a value that it cannot have.

    The message speaks of the argument, as in ``steps=0: it must be a whole number of at least 1.``; the command line
    shows the same sentence with the setting as it is typed there, see :meth:`spelled`.

    Args:
        name: the argument's name, such as ``eps``; ``floor.class/adv`` for an item of the argument ``floor``.
        value: what it was given.
        right: what it must be, to follow "it must be".
        also: single values that it may be as well, such as None.
    """

    def __init__(self, name: str, value: object, right: str, also: tuple[object, ...] = ()) -> None:
        super().__init__(name, value, right, also)  # which pickle calls the constructor with
        self.name = name
        self.value = value
        self.right = right
        self.also = also

    def __str__(self) -> str:
        return self.spelled(self.name, "None")

    def spelled(self, name: str, none: str) -> str:
        """The message with another spelling of the argument's name and of None."""
        also = [none if value is None else str(value) for value in self.also]
        end = "" if self.right.endswith("?") else "."
        value = none if self.value is None else repr(self.value)
        return f"{name}={value}: it must be {' or '.join([*also, self.right])}{end}"


class MissingLabelError(ValueError):
    """A task learns a label that the data do not have."""


class NonFiniteError(RuntimeError):
    """An objective or its gradient became NaN or infinite."""


class ReentrantCheckpointingError(ValueError):
    """The model checkpoints activations in a way that allows no ``torch.autograd.grad``."""

    def __init__(self) -> None:
        super().__init__(
            "The model checkpoints activations with reentry, through which torch.autograd.grad cannot go: call"
            " torch.utils.checkpoint.checkpoint(..., use_reentrant=False) in it."
        )


def is_disk_full(error: BaseException) -> bool:
    """Whether there is no space left, or none of the user's quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def one_line(error: BaseException, most: int = 300) -> str:
    """The message of an error in one line of at most ``most`` characters."""
    return " ".join(str(error).split())[:most]

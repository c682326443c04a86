"""Errors whose message is meant for the person who started the run."""


class UserError(Exception):
    """Something the user can mend: the message says what is wrong and what would be right.

    Entry points print the message alone, without a traceback, and exit with status 1.
    """


class NonFiniteError(RuntimeError):
    """An objective or its gradient became NaN or infinite."""

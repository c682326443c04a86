"""All ranks of a training end where one of them fails, with its message."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytorch_lightning as pl

from gat_lightning.config.messages import explain, is_for_user
from gat_lightning.runs.ranks import Failure, LostRankError, Ranks
from gat_lightning.training.launcher import RankLauncher

SECONDS_FOR_MESSAGE = 10.0
"""How long a rank whose collective failed waits for the other rank's own message."""


@contextmanager
def ended_together(trainer: pl.Trainer, record: Callable[[str], None]) -> Iterator[None]:
    """Tell the other ranks of an error in the block; where another rank has failed, end with that one's message.

    Rank 0 shows the message. Another rank shows its own only where rank 0 does not hear of it, and the traceback of a
    fault of the program. With one process nothing of this happens.

    Args:
        trainer: of the run.
        record: called with the message before a process is ended whose main thread waits within a library.

    Raises:
        LostRankError: another rank has failed.
        SystemExit: this rank has failed or lost another one, and rank 0 has the message.
    """
    if not isinstance(trainer.strategy.launcher, RankLauncher):
        yield
        return
    ranks = trainer.strategy.launcher.ranks
    ranks.at_forced_end = lambda: _end_waiting(ranks, record)
    try:
        yield
    except LostRankError as error:
        if ranks.wait(SECONDS_FOR_MESSAGE) is None:
            ranks.report(str(error))
        failure = ranks.failure
        if failure is None or failure.rank == ranks.rank == 0:
            raise
        if _is_shown_by_rank_0(ranks, failure):
            raise SystemExit(1) from error
        raise LostRankError(failure.told(ranks.count)) from error
    except Exception as error:
        is_known = ranks.report(explain(error) if is_for_user(error) else _fault(error))
        if is_known and ranks.rank != 0 and is_for_user(error):
            raise SystemExit(1) from error
        raise
    finally:
        ranks.close()


def _is_shown_by_rank_0(ranks: Ranks, failure: Failure) -> bool:
    """Unless it was killed."""
    return ranks.rank != 0 and failure != Failure(0, None)


def _fault(error: Exception) -> str:
    return f"{type(error).__name__}: {explain(error)} (the traceback is in the output of that process)"


def _end_waiting(ranks: Ranks, record: Callable[[str], None]) -> None:
    assert ranks.failure is not None
    message = ranks.failure.told(ranks.count)
    if not _is_shown_by_rank_0(ranks, ranks.failure):
        print(f"Error: {message}", file=sys.stderr, flush=True)
    if ranks.rank == 0:
        record(message)

"""Ranks of a run that tell one another why they end, so that none waits for one that is gone.

Collectives alone do not tell: gloo reports that a rank is lost and not why, and NCCL waits until its time-out.
"""

import json
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import NamedTuple

from gat_lightning.distributed import of_rank_0
from gat_lightning.errors import UserError

SECONDS_TO_HEAR = 10.0
"""How long the main thread of rank 0 may wait within a library after another rank has failed."""

SECONDS_TO_LEAVE = 2.0
"""Likewise for the other ranks, which have nothing to record."""

SECONDS_TO_END = 40.0
"""How long a rank may take to end, such as to close its loggers, once its main thread knows of a failure."""

PARENT = "GAT_LIGHTNING_PARENT"
"""Environment variable with the number of the process that has started this one and waits for it."""


def end_with_parent() -> None:
    """Send this process SIGTERM once the one that started it, if :data:`PARENT` says so, has ended."""
    parent = os.environ.get(PARENT)

    def watch() -> None:
        while str(os.getppid()) == parent:
            time.sleep(1)  # nothing tells
        os.kill(os.getpid(), signal.SIGTERM)

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()


class LostRankError(UserError):
    """Another rank has failed, so that this one cannot go on."""


class Failure(NamedTuple):
    """The rank that failed first.

    Attributes:
        rank: counted from 0.
        message: of its error; None where it ended without one, as a process that is killed does.
    """

    rank: int
    message: str | None

    def told(self, count: int) -> str:
        """The failure in one sentence, for a run of ``count`` processes."""
        without = "it ended without a message; it was killed, possibly out of memory."
        return f"Process {self.rank} of {count}: {self.message or without}"


class Ranks:
    """Connections between rank 0 and the others, on which a rank that fails says why, and one that dies is missed.

    If the main thread does not end in time after a failure, since it waits within a collective, the process is ended
    by a thread of its own.

    Args:
        rank: of this process.
        count: number of processes.

    Attributes:
        rank: likewise.
        count: likewise.
        connected: whether :meth:`connect` was called.
        failure: the first one; None while all is well.
        at_forced_end: called before this process is ended while its main thread waits.
    """

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count, self.connected = rank, count, False
        self.failure: Failure | None = None
        self.at_forced_end: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._known, self._heard, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._connections: list[Connection] = []
        if os.environ.get(PARENT) == str(os.getppid()):
            threading.Thread(target=self._watch_parent, args=(os.getppid(),), daemon=True).start()

    def connect(self) -> None:
        """Connect the ranks of the process group. Called once on every rank."""
        self.connected = True
        host = os.environ.get("MASTER_ADDR", "127.0.0.1")
        if self.rank == 0:
            key = secrets.token_bytes(32)
            listener = Listener((host if host.startswith("127.") else "", 0), backlog=self.count, authkey=key)
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            of_rank_0((listener.address[1], key))
        else:
            port, key = of_rank_0((0, b""))
            connection = Client((host, port), authkey=key)
            connection.send_bytes(json.dumps(self.rank).encode())
            self._listen(connection, 0)

    def check(self) -> None:
        """Raise :class:`LostRankError` where another rank has failed."""
        if self.failure is not None:
            raise LostRankError(self.failure.told(self.count))

    def lost(self, rank: int, message: str | None = None) -> None:
        """A rank has ended; the first failure counts, and all ranks hear of it."""
        if self._ended.is_set():
            return
        with self._lock:
            first, self.failure = self.failure is None, self.failure or Failure(rank, message)
            if self.rank == 0:
                for connection in self._connections:
                    _send(connection, self.failure)
        self._known.set()
        if first:
            threading.Thread(target=self._end_in_time, daemon=True).start()

    def report(self, message: str) -> bool:
        """Tell the others that this rank fails.

        Returns:
            Whether rank 0 knows now.
        """
        self._heard.set()
        if self.rank == 0:
            self.lost(0, message)
            return True
        for connection in self._connections:
            _send(connection, Failure(self.rank, message))
        return bool(self._connections) and self.wait(SECONDS_TO_HEAR) != Failure(0, None)

    def wait(self, seconds: float) -> Failure | None:
        """The first failure, which may be about to be heard of."""
        self._heard.set()
        self._known.wait(seconds)
        return self.failure

    def close(self) -> None:
        """Say goodbye: from here on nobody misses this rank, and it misses nobody."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            _send(connection, None)
        self._ended.set()

    def _accept(self, listener: Listener) -> None:
        waited = set(range(1, self.count))
        with listener:
            while waited:
                with suppress(AuthenticationError, EOFError, OSError):  # whoever else tries the port
                    connection = listener.accept()
                    rank = json.loads(connection.recv_bytes())
                    waited.discard(rank)
                    self._listen(connection, rank)

    def _listen(self, connection: Connection, peer: int) -> None:
        with self._lock:
            self._connections.append(connection)
            if self.rank == 0 and self.failure is not None:
                _send(connection, self.failure)
        threading.Thread(target=self._hear, args=(connection, peer), daemon=True).start()

    def _hear(self, connection: Connection, peer: int) -> None:
        """Wait for what the peer says, until it says goodbye or is gone."""
        try:
            while (told := json.loads(connection.recv_bytes())) is not None:
                self.lost(*told)
        except (EOFError, OSError):
            self.lost(peer)

    def _watch_parent(self, parent: int) -> None:
        while os.getppid() == parent:
            time.sleep(1)  # nothing tells
        self.lost(0)

    def _end_in_time(self) -> None:
        try:
            if self._heard.wait(SECONDS_TO_HEAR if self.rank == 0 else SECONDS_TO_LEAVE):
                if self._ended.wait(SECONDS_TO_END):
                    return
            else:
                self.at_forced_end()
        finally:
            if not self._ended.is_set():
                os._exit(1)


def _send(connection: Connection, failure: Failure | None) -> None:
    with suppress(OSError):  # it is gone
        connection.send_bytes(json.dumps(failure).encode())

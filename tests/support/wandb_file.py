"""Reads a ``.wandb`` file: a LevelDB-style log of protobuf records."""

import json
import struct
import time

from wandb.proto import wandb_internal_pb2

BLOCK, HEADER = 32768, 7
WHOLE, LAST = 1, 4


def records(path):
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    position, record = HEADER, b""
    while position + HEADER <= len(data):
        left = BLOCK - position % BLOCK
        if left < HEADER:
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + HEADER])
        if position + HEADER + length > len(data):
            return
        position += HEADER
        record += data[position : position + length]
        position += length
        if kind in (WHOLE, LAST):
            parsed = wandb_internal_pb2.Record()
            parsed.ParseFromString(record)
            yield parsed
            record = b""


def _items(items):
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def complete_records(path, seconds=20.0):
    """All records; W&B's own process writes the last ones a moment after the run was finished."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = list(records(path))
        if any(record.WhichOneof("record_type") == "exit" for record in found):
            return found
        time.sleep(0.01)
    raise AssertionError(f"{path} has no end")


def paths_of(directory):
    """The files of a run, in the order in which it wrote them."""
    return sorted(directory.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_ctime_ns)


def missing_rows(directory, rows):
    """Those rows of ``metrics.csv`` that no part of a run has logged, nor one whose process was lost."""
    kept = (record for path in paths_of(directory) for record in records(path))
    history = [_items(record.history.item) for record in kept if record.WhichOneof("record_type") == "history"]
    return [row for row in rows if not _has(history, row)]


def _has(history, row):
    expected = {name: float(value) for name, value in row.items() if value and name != "step"}
    expected["trainer/global_step"] = int(row["step"])
    return any(expected.items() <= logged.items() for logged in history)


class WandbFile:
    """What a finished run logged."""

    def __init__(self, directory):
        (self.path,) = paths_of(directory)
        self._read()

    @classmethod
    def at(cls, path):
        """One of several files of a run that was resumed."""
        file = cls.__new__(cls)
        file.path = path
        file._read()
        return file

    def _read(self):
        self.files = self.path.parent / "files"
        self.history, self.summary, self.media = [], {}, []
        self.run = self.exit_code = None
        self.metrics = {}
        for record in complete_records(self.path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.run = record.run
            elif kind == "history":
                self.history.append(_items(record.history.item))
            elif kind == "summary":
                self.summary |= _items(record.summary.update)
            elif kind == "metric":
                self.metrics[record.metric.name or record.metric.glob_name] = record.metric
            elif kind == "files":
                self.media += [file.path for file in record.files.files]
            elif kind == "exit":
                self.exit_code = record.exit.exit_code
        self.config = {item.key: json.loads(item.value_json) for item in self.run.config.update}
        self.columns = set().union(*self.history)

    def has(self, row):
        """Whether the history has all figures of a row of ``metrics.csv``."""
        return _has(self.history, row)

"""What was started together: the points of each sweep, kept so that they can be listed before they have run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from gat_lightning.files import atomic_write

_FOLDER = ".sweeps"


@dataclass
class SweepPoint:
    """A point of a sweep.

    Attributes:
        overrides: as typed, with one value each.
        directory: name of its run directory, below the folder of the sweep.
        job: number of its SLURM job, an array's as ``12_3``; None if it runs on this machine.
    """

    overrides: list[str]
    directory: str
    job: str | None = None


class Sweep:
    """The record of one sweep, a file in the folder of its run directories.

    Args:
        output: that folder.
        points: those that are started.
    """

    def __init__(self, output: Path, points: Sequence[SweepPoint]) -> None:
        self.points = list(points)
        self._path = output / _FOLDER / f"{datetime.now():%Y%m%d-%H%M%S-%f}.json"
        self._write()

    def submitted(self, jobs: Mapping[str, str]) -> None:
        """Keep the numbers of SLURM jobs, by the name of the run directory."""
        for point in self.points:
            point.job = jobs.get(point.directory, point.job)
        self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._path) as temporary:
            temporary.write_text(json.dumps([asdict(point) for point in self.points], indent=1))


def started_points(output: Path) -> list[SweepPoint]:
    """The points of all sweeps in a folder, each run directory once, as last started."""
    found: dict[str, SweepPoint] = {}
    for path in sorted((output / _FOLDER).glob("*.json")):
        for content in json.loads(path.read_text()):
            point = SweepPoint(**content)
            found.pop(point.directory, None)
            found[point.directory] = point
    return list(found.values())

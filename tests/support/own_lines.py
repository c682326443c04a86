"""The lines of this project's code that are being executed."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import gat_lightning

PACKAGE, TESTS = Path(gat_lightning.__file__).parent, Path(__file__).parents[1]
NOT_SHOWN = {__file__, str(Path(__file__).with_name("stand_in_device.py"))}


def own_frames() -> Iterator[FrameType]:
    """Frames of the package and of the tests, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name not in NOT_SHOWN and name.startswith((f"{PACKAGE}/", f"{TESTS}/")):
            yield frame
        frame = frame.f_back


def own_lines(most: int = 3) -> str:
    """Where the execution is: ``file:line``, the innermost first."""
    places = []
    for frame in own_frames():
        path = Path(frame.f_code.co_filename)
        place = path.relative_to(PACKAGE.parent if path.is_relative_to(PACKAGE) else TESTS)
        places.append(f"{place}:{frame.f_lineno}")
    return ", called from ".join(places[:most])


def in_attack() -> bool:
    """Whether an attack is perturbing images."""
    return any(
        frame.f_code.co_name == "perturb" and Path(frame.f_code.co_filename).parent.name == "attacks"
        for frame in own_frames()
    )

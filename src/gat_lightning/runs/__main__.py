"""List runs: ``python -m gat_lightning.runs [FOLDER]``."""

import sys
from pathlib import Path

from gat_lightning.runs.directory import OUTPUT
from gat_lightning.runs.listing import print_runs

_USAGE = """\
python -m gat_lightning.runs [FOLDER]

Lists all runs in FOLDER (default: outputs), and those of sweeps that SLURM has not started yet.
It shows what was typed and differs between them, the state (queued with SLURM's reason, running with
epoch and time left, interrupted, failed with the reason, finished with its scores), the number of
the SLURM job and the run directory.

FOLDER may also be typed as output=FOLDER or paths.output=FOLDER.
"""


def main(arguments: list[str]) -> int:
    """Print the table."""
    if any(word in ("-h", "--help") for word in arguments) or len(arguments) > 1:
        print(_USAGE)
        return 0 if "-h" in arguments or "--help" in arguments else 2
    output = Path(_folder(arguments[0]) if arguments else "outputs")
    if not output.is_dir():
        print(f"Error: there is no folder '{output}'.", file=sys.stderr)
        return 1
    print_runs(output)
    return 0


def _folder(word: str) -> str:
    name, _, value = word.partition("=")
    return value if name in OUTPUT else word


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Run the notebooks from start to end and write them back: ``python notebooks/execute.py [NOTEBOOK ...]``.

What would differ between two runs of the same notebook is left out of the files: timings, names of temporary folders,
settings of an editor. So a difference between two commits is one of content.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
MOST_SECONDS = 600
EPOCH_SECONDS = re.compile(r"(?<=\d)  [\d.,]+ (?:s|min|h)(?=  )")
"""In the lines that training prints."""
ESTIMATE = re.compile(r"^After step \d+\n(?:  .*\n)+", re.MULTILINE)
"""What training says of hours and memory."""

LOGGING_TIME = re.compile(r"^\[[\d-]+ [\d:,]+\](?=\[)", re.MULTILINE)
"""Of warnings."""


def execute(path: Path) -> NotebookNode:
    """The notebook in ``path`` with the outputs of a new kernel, in normal form.

    Raises:
        CellExecutionError: a cell has failed.
    """
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        temporary = str(Path(folder).resolve())
        environment = os.environ | {"TMPDIR": temporary, "OMP_NUM_THREADS": "1"}  # more are no faster for small models
        client = NotebookClient(notebook, timeout=MOST_SECONDS, kernel_name="python3", record_timing=False)
        client.execute(env=environment)
        normalise(notebook, temporary)
    return notebook


def normalise(notebook: NotebookNode, temporary: str) -> None:
    """Take out what is not content, and the names of folders in ``temporary``."""
    notebook.metadata = NotebookNode(METADATA)
    for cell in notebook.cells:
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = with_palette(output.data["image/png"])
                if output.output_type == "stream":
                    output.text = re.sub(rf"{re.escape(temporary)}/[^/\s]+/?", "", output.text)
                    for pattern in (EPOCH_SECONDS, ESTIMATE, LOGGING_TIME):
                        output.text = pattern.sub("", output.text)


def joined(outputs: Sequence[NotebookNode]) -> list[NotebookNode]:
    """The outputs with what was written piece by piece to one stream as one."""
    found: list[NotebookNode] = []
    for output in outputs:
        previous = found[-1] if found else None
        if previous is not None and output.output_type == "stream" and previous.get("name") == output.name:
            previous.text += output.text
        else:
            found.append(output)
    return found


def with_palette(picture: str) -> str:
    """The base64 text of a PNG file with 256 colours at most, which takes a third of the room."""
    image = Image.open(BytesIO(base64.b64decode(picture)))
    if image.mode == "P":
        return picture
    file = BytesIO()
    image.convert("RGB").quantize(256).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def existing_file(text: str) -> Path:
    """The path of a notebook on the command line."""
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file '{text}'")
    return Path(text)


def writable_folder(text: str) -> Path:
    """The path of a folder on the command line, checked before any notebook runs."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder '{text}'")
    if not os.access(text, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"the folder '{text}' is not writable")
    return Path(text)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=existing_file, help="all by default")
    parser.add_argument(
        "--output", type=writable_folder, help="existing folder for the results, instead of the notebooks themselves"
    )
    chosen = parser.parse_args(arguments)
    for path in chosen.notebooks or sorted(FOLDER.glob("*.ipynb")):
        print(f"{path.name} ...", flush=True)
        result = execute(path)
        nbformat.write(result, path if chosen.output is None else chosen.output / path.name)


if __name__ == "__main__":
    main()

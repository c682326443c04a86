"""docs/run-directories.md names all that a run leaves behind."""

import csv
import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "run-directories.md").read_text()
DESCRIBED = set(re.findall(r"`([^`\n]+)`", PAGE.replace("```", "")))
FOLDERS = {name for name in DESCRIBED if name.endswith("/")}


def undescribed_files(directory):
    names = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    return {
        name
        for name in names
        if not {name, Path(name).name} & DESCRIBED and not name.startswith(tuple(FOLDERS - {"checkpoints/", "images/"}))
    }


def kind_of(column):
    """A column's name as the page writes it."""
    column = re.sub(r"^(objective|weight|norm)/\w+/\w+$", r"\1/NAME", column)
    column = re.sub(r"^cosine/.*", r"cosine/A\\|B", column)
    column = re.sub(r"^(val|test)/clean/\w+/\w+$", r"\1/clean/TASK/METRIC", column)
    return re.sub(r"(val|test)/\w+/\w+$", r"\1/VIEW/METRIC", column)


def test_a_training_leaves_nothing_that_the_page_does_not_name(quickstart):
    directory, result = quickstart
    assert not {"schema", *result} - DESCRIBED
    assert not set(result["files"]) - DESCRIBED
    assert not undescribed_files(directory)
    with (directory / "metrics.csv").open() as file:
        columns = next(csv.reader(file))
    assert len(columns) > 40
    assert not {kind_of(column) for column in columns} - DESCRIBED

"""docs/run-directories.md names all that a run leaves behind."""

import csv
import re
from typing import get_type_hints

import pytest

from gat_lightning.runs.result import EvaluationResult, Files, TrainingResult
from support.documents import DESCRIBED, undescribed_files


def kind_of(column):
    """A column's name as the page writes it."""
    column = re.sub(r"^(objective|weight|norm)/\w+/\w+$", r"\1/NAME", column)
    column = re.sub(r"^cosine/.*", r"cosine/A\\|B", column)
    column = re.sub(r"^(val|test)/clean/\w+/\w+$", r"\1/clean/TASK/METRIC", column)
    return re.sub(r"(val|test)/\w+/\w+$", r"\1/VIEW/METRIC", column)


@pytest.mark.parametrize("record", [TrainingResult, EvaluationResult, Files])
def test_every_key_of_a_result_is_on_the_page(record):
    assert not set(get_type_hints(record)) - DESCRIBED


def test_a_training_leaves_nothing_that_the_page_does_not_name(quickstart):
    directory, result = quickstart
    assert not {"schema", *result} - DESCRIBED
    assert not set(result["files"]) - DESCRIBED
    assert not undescribed_files(directory)
    with (directory / "metrics.csv").open() as file:
        columns = next(csv.reader(file))
    assert len(columns) > 40
    assert not {kind_of(column) for column in columns} - DESCRIBED

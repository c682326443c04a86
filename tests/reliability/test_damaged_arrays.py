"""Arrays of a run that a full disk or a broken copy has damaged: refused with their name, or made again."""

import random

import numpy as np
import torch

from gat_lightning.errors import UserError
from gat_lightning.evaluation.journal import Journal
from gat_lightning.evaluation.outcomes import Outcomes
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.training.given_labels import GivenLabels, read_labels, write_labels
from support.damage import damaged

FILES = 200


def unrefused(path, read):
    """What is read of the file with each of many damages, where it is not refused."""
    content, draw = path.read_bytes(), random.Random(0)
    for _ in range(FILES):
        path.write_bytes(damaged(content, draw))
        try:
            yield read()
        except UserError as error:
            if path.name not in str(error):
                raise


def outcomes(number):
    draw = np.random.default_rng(0)
    loss = draw.random(number, dtype=np.float32)
    return Outcomes(draw.integers(0, 10, number), loss < 0.5, loss, loss)


def test_predictions(tmp_path):
    path = tmp_path / "predictions.npz"
    sound = Predictions("multiclass", np.arange(50), np.arange(50) % 10, {"pgd20": outcomes(50)})
    sound.save(path)
    found = list(unrefused(path, lambda: Predictions.load(path)))
    assert len(found) < FILES / 4
    for each in found:  # damaged where nothing is read, such as in a time
        assert np.array_equal(each.labels, sound.labels)
        assert np.array_equal(each.views["pgd20"].loss, sound.views["pgd20"].loss)


def test_pseudo_labels(tmp_path):
    path = tmp_path / "pseudo_labels.npz"
    sound = GivenLabels(torch.arange(50), torch.rand(50, 10), "teacher", "images", 0.5)
    write_labels(path, sound)
    found = list(unrefused(path, lambda: read_labels(path)))
    assert len(found) < FILES / 4
    assert all(each.digest == sound.digest for each in found)


def test_a_damaged_unit_of_an_evaluation_is_one_that_is_not_finished(tmp_path):
    journal, loss = Journal(tmp_path / "progress", "same"), outcomes(50).loss
    journal.put("pgd20", "pgd20", 0, {"loss": loss})
    (path,) = (tmp_path / "progress").rglob("*.npz")
    found = list(unrefused(path, lambda: journal.get("pgd20", "pgd20", 0)))
    assert found.count(None) > FILES / 2
    assert all(np.array_equal(each["loss"], loss) for each in found if each is not None)

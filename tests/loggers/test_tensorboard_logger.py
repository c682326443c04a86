"""TensorBoard's event files, read back; and what is said where it is missing."""

import sys

import numpy as np
import pytest
from hydra.utils import instantiate

from gat_lightning.errors import UserError
from gat_lightning.loggers.tensorboard import TensorBoardLogger
from support.configurations import composed
from support.forked_logging import log_from_a_fork
from support.training_runs import trained


def events(directory):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = accumulator.EventAccumulator(str(directory / "tensorboard"), size_guidance={"scalars": 0})
    read.Reload()
    return read


def scalars(directory, name):
    return [(event.step, event.value) for event in events(directory).Scalars(name)]


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match=r"pip install gat-lightning\[tensorboard\]"):
        TensorBoardLogger(tmp_path)


@pytest.mark.parametrize("choice", ["csv", "wandb", "tensorboard", "wandb+tensorboard", "csv+wandb"])
def test_loggers_join(choice, tmp_path, monkeypatch):
    config = composed("train", "data=digits", f"logger={choice}", f"paths.run={tmp_path}")
    assert list(config.logger) == [name for name in choice.split("+") if name != "csv"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    for name in config.logger:
        assert instantiate(config.logger[name]).directory == tmp_path


@pytest.mark.slow
def test_scalars_pictures_and_configuration(tmp_path):
    pytest.importorskip("tensorboard")
    trained(tmp_path, "logger=tensorboard", "trainer.max_epochs=1")
    read = events(tmp_path)
    assert {"objective/class/adv", "weight/class/adv", "val/selection", "test/pgd2/accuracy"} <= set(
        read.Tags()["scalars"]
    )
    assert set(read.Tags()["images"]) == {"gramian", "adversarial", "weights", "front"}
    (text,) = (event.tensor_proto.string_val[0].decode() for event in read.Tensors("config/text_summary"))
    assert '"mgda' in text.lower() or "MGDA" in text
    assert str(tmp_path) not in text


def test_a_resumed_run_hides_what_came_after_its_step(tmp_path):
    pytest.importorskip("tensorboard")
    for resumed_at, steps in ((None, (1, 2, 3)), (2, (3, 4)), (None, (1,))):
        logger = TensorBoardLogger(tmp_path)
        logger.begin({}, resumed_at)
        for step in steps:
            logger.log_metrics({"loss": 10.0 * step + (resumed_at or 0)}, step)
            logger.log_picture("picture", np.zeros((4, 4, 3), np.uint8), step, 0)
        logger.save()
        logger.end("finished", {})
        expected = {None: [(step, 10.0 * step) for step in steps], 2: [(1, 10), (2, 20), (3, 32), (4, 42)]}
        assert scalars(tmp_path, "loss") == expected[resumed_at]


def test_closing_one_that_never_started(tmp_path):
    pytest.importorskip("tensorboard")
    TensorBoardLogger(tmp_path).end("failed", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_forked_process_writes_too(tmp_path):
    pytest.importorskip("tensorboard")
    log_from_a_fork("tensorboard.TensorBoardLogger(sys.argv[1])", tmp_path)
    assert sorted(scalars(tmp_path, "x")) == [(step, step) for step in range(21)]

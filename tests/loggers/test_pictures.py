"""The pictures that loggers are given, and when."""

import numpy as np
import pytest

from gat_lightning.config.build import build_data, build_module, build_trainer
from gat_lightning.config.command_line import quiet_lightning
from gat_lightning.loggers import RunLogger
from gat_lightning.training.callbacks import Pictures
from gat_lightning.training.callbacks import pictures as module
from gat_lightning.training.callbacks.pictures import cosine_map, pixels
from support.training_runs import tiny

LIGHT = ["task=none", "weighting=equal", "curvature.mode=off", "attack.steps=1", "validation.attack.steps=1"]


class Album(RunLogger):
    shows_pictures = True

    def __init__(self, directory):
        super().__init__(directory)
        self.pictures = {}

    def log_metrics(self, metrics, step=None):
        pass

    def log_picture(self, name, pixels, step, epoch):
        self.pictures.setdefault(name, {})[step] = pixels


@pytest.mark.filterwarnings("ignore:.*")
def fitted(directory, every_n_epochs, *overrides, album=True):
    quiet_lightning()
    config = tiny(directory, *overrides)
    config.callbacks = {}
    data = build_data(config)
    model = build_module(config, data.info)
    trainer = build_trainer(config)
    callback = Pictures(every_n_epochs)
    trainer.callbacks.append(callback)
    logger = Album(directory)
    logger.shows_pictures = album
    trainer.loggers = [logger]
    trainer.fit(model, datamodule=data)
    return logger, callback


@pytest.fixture
def stubs(monkeypatch):
    monkeypatch.setattr(Pictures, "_gallery", lambda *_: np.zeros((4, 4, 3), np.uint8))
    monkeypatch.setattr(module, "pixels", lambda _: np.ones((4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    ("every_n_epochs", "overrides", "steps"),
    [
        (2, ["trainer.max_epochs=5"], [10, 20, 25]),
        (1, ["trainer.max_epochs=3", "validation.every=2", "method=standard"], [10, 15]),
    ],
)
def test_every_few_epochs_and_at_the_end(tmp_path, stubs, every_n_epochs, overrides, steps):
    logger, _ = fitted(tmp_path, every_n_epochs, *overrides, *LIGHT)
    assert {name: list(series) for name, series in logger.pictures.items()} == {"gramian": steps, "adversarial": steps}


def test_no_work_where_no_logger_shows_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr("gat_lightning.training.callbacks.pictures.adversarial_gallery", pytest.fail)
    monkeypatch.setattr("gat_lightning.training.callbacks.pictures.cosine_map", pytest.fail)
    _, callback = fitted(tmp_path, 1, "trainer.max_epochs=1", *LIGHT, album=False)
    assert callback._images is None


@pytest.mark.parametrize("count", [1, 5, 20])
def test_cosine_map_names_every_objective(count):
    names = [f"task{k}/clean" for k in range(count)]
    figure = cosine_map(names, np.eye(count))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert len(axes.texts) == (count**2 if count <= 12 else 0)
    picture = pixels(figure)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert min(picture.shape[:2]) > 200

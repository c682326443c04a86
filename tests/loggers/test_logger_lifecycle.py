"""Every logger is told what it needs to know, and every one is closed."""

import numpy as np
import pytest
from omegaconf import OmegaConf
from pytorch_lightning.loggers import Logger

from gat_lightning.loggers import CSVLogger, RunLogger, close, start


class Recorder(RunLogger):
    def __init__(self, directory, fails=False):
        super().__init__(directory)
        self.calls, self.fails = [], fails

    def log_metrics(self, metrics, step=None):
        self.calls.append(("metrics", metrics, step))

    def begin(self, config, resumed_at):
        self.calls.append(("begin", config, resumed_at))

    def finalize(self, status):
        self.calls.append(("finalize", status))
        if self.fails:
            raise ConnectionError("no network")

    def end(self, status, metrics):
        self.calls.append(("end", status, metrics))


class Foreign(Logger):
    name = version = ""

    def __init__(self):
        super().__init__()
        self.calls = []

    def log_metrics(self, metrics, step=None):
        self.calls.append(("metrics", metrics, step))

    def log_hyperparams(self, params):
        self.calls.append(("hyperparams", params))

    def finalize(self, status):
        self.calls.append(("finalize", status))


CONFIG = OmegaConf.create({"paths": {"run": "/x/y"}, "seed": 3, "where": "${paths.run}/checkpoints"})
PUBLIC = {"seed": 3, "where": "<hidden>"}


def test_start_gives_the_public_configuration(tmp_path):
    loggers = [Recorder(tmp_path), Foreign()]
    start(loggers, CONFIG, 12)
    assert loggers[0].calls == [("begin", PUBLIC, 12)]
    assert loggers[1].calls == [("hyperparams", PUBLIC)]


@pytest.mark.parametrize(
    ("status", "lightnings"), [("finished", "success"), ("interrupted", "failed"), ("failed", "failed")]
)
def test_close_reaches_every_logger_though_one_fails(tmp_path, caplog, status, lightnings):
    loggers = [Recorder(tmp_path, fails=True), Recorder(tmp_path), Foreign()]
    metrics = {"best": {"test/clean/accuracy": 0.5}}
    close(loggers, status, metrics)
    assert loggers[1].calls == [("finalize", lightnings), ("end", status, metrics)]
    assert loggers[2].calls == [("finalize", lightnings)]
    assert [record.message for record in caplog.records] == ["Recorder could not be closed"]


def test_a_logger_of_a_run(tmp_path):
    logger = CSVLogger(str(tmp_path))
    assert (logger.name, logger.version, logger.save_dir) == ("", "", str(tmp_path))
    assert not logger.shows_pictures
    logger.log_hyperparams({"a": 1})
    logger.log_picture("x", np.zeros((2, 2, 3), np.uint8), 1, 0)
    logger.end("finished", {})
    assert list(tmp_path.iterdir()) == []

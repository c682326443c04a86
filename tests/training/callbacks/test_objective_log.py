"""Rows of the objective log where steps differ in what they have."""

import pytest
from pytorch_lightning.loggers.logger import Logger
from torch.utils.data import DataLoader

from gat_lightning.curvature.terms import Curvature
from gat_lightning.methods import Madry
from gat_lightning.training.callbacks.objective_log import ObjectiveLog
from gat_lightning.weighting import FAMO, MGDA
from support.trainers import quiet_trainer
from support.training_steps import toy_batch, toy_module

OBJECTIVES = ["class/clean+adv", "macro/clean+adv", "rotation/clean+adv"]
CURVED = [*OBJECTIVES, "macro/curvature", "rotation/curvature"]


class Rows(Logger):
    """Keeps the rows of steps."""

    name, version = "rows", 0

    def __init__(self):
        super().__init__()
        self.rows = {}

    def log_metrics(self, metrics, step=None):
        if "lr" in metrics:
            self.rows[step] = metrics

    def log_hyperparams(self, *given, **named):
        pass


def logged(weighting, curvature="off", steps=8, every=4, **settings):
    """The rows by step, and all that the module's engine computed."""
    module = toy_module(Madry(), curvature, None, False, weighting, **settings)
    found, finish, rows = [], module.engine.finish, Rows()
    module.engine.finish = lambda: found.append(finish()) or found[-1]
    trainer = quiet_trainer(max_steps=steps, callbacks=[ObjectiveLog(every)])
    trainer.loggers = [rows]
    trainer.fit(module, DataLoader([toy_batch(7 + k) for k in range(steps)], batch_size=None))
    return rows.rows, found


def test_each_figure_is_that_of_the_last_step_that_had_it():
    rows, steps = logged(MGDA(), Curvature(every=4), solve_every=2)
    assert sorted(rows) == [4, 8]
    for at, row in rows.items():
        last, solved, curved = steps[at - 1], steps[at - 2], steps[at - 4]
        assert (last.solved, solved.solved, curved.names) == (False, True, CURVED)
        for k, name in enumerate(OBJECTIVES):
            assert row[f"objective/{name}"] == last.losses[k]
            assert row[f"weight/{name}"] == last.weights[k]
            assert row[f"norm/{name}"] == pytest.approx(float(solved.gramian[k, k].sqrt()))
        for k, name in enumerate(CURVED[3:], 3):
            assert row[f"weight/{name}"] == curved.weights[k]
            assert row[f"norm/{name}"] == pytest.approx(float(curved.gramian[k, k].sqrt()))
        assert row["stationarity"] == pytest.approx(solved.stationarity)
        assert row["cosine/macro/clean+adv|class/clean+adv"] == pytest.approx(float(solved.cosines()[1, 0]))


def test_what_no_step_since_the_last_row_had_is_left_out():
    rows, _ = logged(MGDA(), steps=8, every=2, solve_every=4)
    assert ["stationarity" in rows[step] for step in (2, 4, 6, 8)] == [True, False, True, False]
    assert all(f"weight/{name}" in row for row in rows.values() for name in OBJECTIVES)
    rows, _ = logged(FAMO())
    for row in rows.values():
        assert sum(row[f"weight/{name}"] for name in OBJECTIVES) == pytest.approx(1)
        assert not [name for name in row if name.startswith(("norm", "cosine", "stationarity"))]


def test_a_penalty_is_that_of_the_last_step_with_one():
    rows, steps = logged(MGDA(), Curvature("penalty", every=3), every=4)
    assert rows[4]["penalty"] == steps[3].penalty > 0
    assert rows[8]["penalty"] == steps[6].penalty > 0


def test_its_state_has_what_the_next_row_has():
    log = ObjectiveLog()
    log.load_state_dict({"empty": 1, "warned": False, "weights": {}, "figures": {"penalty": 2.0}})
    assert log.state_dict()["figures"] == {"penalty": 2.0}
    log.load_state_dict({"empty": 1, "warned": False, "weights": {}})  # of an earlier version
    assert log.state_dict()["figures"] == {}

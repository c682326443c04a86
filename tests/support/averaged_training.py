"""Short trainings whose weights are recorded and averaged."""

import warnings
from types import SimpleNamespace

import pytorch_lightning as pl
import torch

from gat_lightning.config.build import build_data, build_module, build_trainer
from gat_lightning.config.command_line import quiet_lightning
from gat_lightning.training.callbacks import WeightAveraging
from support.training_runs import tiny

SETTINGS = (
    "augment=standard", "data.val_fraction=0.2", "curvature.mode=off", "attack.steps=1", "validation.attack.steps=1"
)  # fmt: skip


class Recorder(pl.Callback):
    """The plain weights before the first step and after each, torch's generator, and a checkpoint of each step."""

    def __init__(self, directory):
        self.weights, self.generators, self.directory = [], [], directory

    def _record(self, module):
        self.weights.append({name: p.detach().clone() for name, p in module.model.named_parameters()})

    def on_train_start(self, trainer, pl_module):
        self._record(pl_module)

    def on_train_end(self, trainer, pl_module):
        self.generators.append(torch.get_rng_state())

    def on_train_batch_end(self, trainer, pl_module, *_):
        self._record(pl_module)
        self.generators.append(torch.get_rng_state())
        trainer.save_checkpoint(self.directory / f"{trainer.global_step}.ckpt")


def composed(directory, *overrides):
    return tiny(directory, *SETTINGS, *overrides)


def fit(directory, *overrides, resume=None):
    config, recorder = composed(directory, *overrides), Recorder(directory / "steps")
    with warnings.catch_warnings():
        quiet_lightning()
        pl.seed_everything(config.seed, verbose=False)
        data, trainer = build_data(config), build_trainer(config)
        module = build_module(config, data.info)
        trainer.callbacks.insert(0, recorder)
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    averaging = next((c for c in trainer.callbacks if isinstance(c, WeightAveraging)), None)
    last, ema = (directory / "checkpoints" / f"{name}.ckpt" for name in ("last", "ema"))
    return SimpleNamespace(**locals())


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name

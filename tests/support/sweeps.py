"""Sweeps in this process."""

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode


class Kept(Launcher):
    """Keeps the points that it is given, and runs none."""

    def __init__(self):
        self.points = []

    def setup(self, **_):
        pass

    def launch(self, job_overrides, initial_job_idx):
        self.points += job_overrides
        return [JobReturn(overrides=each, status=JobStatus.COMPLETED) for each in job_overrides]


def kept_launcher(monkeypatch):
    """Let the next sweeps have a launcher that only keeps its points; returns it."""
    launcher = Kept()
    monkeypatch.setattr(Plugins, "instantiate_launcher", lambda *_, **__: launcher)
    return launcher


def sweep(arguments, *settings, command="train", task=None):
    """Run a sweep of a command.

    Args:
        arguments: the points.
        settings: what is composed before them, such as a launcher.
        task: what runs a point; nothing by default.
    """
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration(command, [*settings, *arguments], RunMode.MULTIRUN)
    HydraConfig.instance().set_config(config)
    context = HydraContext(loader, Callbacks(config))
    sweeper = Plugins.instance().instantiate_sweeper(
        hydra_context=context, task_function=task or nothing, config=config
    )
    return sweeper.sweep(arguments)


def nothing(_):
    """What a point runs."""

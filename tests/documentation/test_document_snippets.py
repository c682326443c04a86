"""Every Python example runs, those of a page one after another in one program."""

import pytest
import torch

from gat_lightning.commands.train.run import run
from gat_lightning.data import CIFAR10
from support.documents import PAGES, name_of, python_of
from support.stand_ins import cifar10, replaced
from support.typed_commands import OURS, composed, quietly, shorten

PAGES_WITH_PYTHON = [page for page in PAGES if python_of(page)]


@pytest.mark.parametrize("page", PAGES_WITH_PYTHON, ids=name_of)
def test_it_runs(page, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(CIFAR10, "load", lambda _: cifar10())
    torch.manual_seed(0)
    variables = {"__name__": "example"}
    for number, code in enumerate(python_of(page)):
        exec(compile(code, f"{name_of(page)}[{number}]", "exec"), variables)


def test_an_encoder_of_ones_own_trains(workplace, own_network, tmp_path, monkeypatch):
    """The command of docs/engineer.md, with the class that stands above it."""
    monkeypatch.chdir(workplace)
    (command,) = (command for command in OURS if "encoder._target_=mynetwork.MyNetwork" in command.words)
    (config,) = composed("train", [*replaced(list(command.words[3:])), f"paths.run={tmp_path}"])
    shorten(config)
    assert quietly(run, config).status == "finished"

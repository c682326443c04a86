"""A run that would wait for processes that nobody starts is refused."""

import os

import pytest

from gat_lightning.config.check import check
from gat_lightning.config.processes import process_plugins
from gat_lightning.errors import UserError
from support.configurations import composed

BY_HAND = {"MASTER_ADDR": "node0", "MASTER_PORT": "29500", "NODE_RANK": "0"}
STEP = {"SLURM_STEP_ID": "0"}
JOB = {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "train"}
SCRIPT = {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "train", "SLURM_PROCID": "0"}


def checked(monkeypatch, variables, *overrides):
    for name in ("LOCAL_RANK", "TORCHELASTIC_RUN_ID", *BY_HAND, *STEP, *SCRIPT):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    check(composed("train", "experiment=quickstart", "paths.run=/nowhere", "trainer.accelerator=cpu", *overrides))


@pytest.mark.parametrize(
    ("variables", "overrides", "message"),
    [
        (
            {},
            ["+trainer.num_nodes=2"],
            r"num_nodes=2: .* by srun .*, by torchrun, or .* MASTER_ADDR, MASTER_PORT, NODE",
        ),
        (
            {"MASTER_ADDR": "node0"},
            ["+trainer.num_nodes=3"],
            r"num_nodes=3: .* by hand with MASTER_PORT, NODE_RANK set",
        ),
        ({**JOB, "SLURM_JOB_NAME": "bash"}, ["+trainer.num_nodes=2"], "started alone and would wait"),
        (JOB, [], r"in a SLURM job of 2 tasks without being one of them: start it with srun \(srun python"),
        (JOB, ["trainer.devices=2"], "start it with srun"),
        (JOB, ["+trainer.num_nodes=2"], "start it with srun"),
        ({**SCRIPT, "SLURM_NTASKS": "2"}, ["trainer.devices=2"], "start it with srun"),
        (
            {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "python"},
            [],
            "in a SLURM job of 1 task without .*start it with srun",
        ),
        (
            SCRIPT,
            ["trainer.devices=2"],
            r"devices=2 needs a process .* job has 1 in all: start it with srun --nodes=1 --ntasks-per-node=2",
        ),
        (
            {**SCRIPT, **STEP},
            ["trainer.devices=3", "+trainer.num_nodes=2"],
            "job has 1 .* --nodes=2 --ntasks-per-node=3",
        ),
        ({**JOB, **STEP}, [], "devices=1 needs a process .* has 2 in all"),
        ({}, ["trainer.devices=2", "+trainer.strategy=ddp_spawn"], "strategy=ddp_spawn: each process of a run is a"),
        ({}, ["+trainer.num_nodes=0"], "trainer.num_nodes=0: it must be a whole number of at least 1"),
    ],
)
def test_nobody_starts_the_others(monkeypatch, variables, overrides, message):
    with pytest.raises(UserError, match=message):
        checked(monkeypatch, variables, *overrides)


@pytest.mark.parametrize(
    ("variables", "overrides"),
    [
        ({}, ["+trainer.num_nodes=1"]),
        ({}, ["trainer.devices=2"]),
        (BY_HAND, ["+trainer.num_nodes=2"]),
        ({"TORCHELASTIC_RUN_ID": "1"}, ["+trainer.num_nodes=2"]),
        ({**JOB, **STEP}, ["+trainer.num_nodes=2"]),
        ({**JOB, **STEP}, ["trainer.devices=2"]),
        ({**JOB, **STEP}, ["trainer.devices=-1"]),
        (SCRIPT, []),
        ({**SCRIPT, **STEP}, []),
        ({**JOB, "SLURM_JOB_NAME": "bash"}, []),
    ],
)
def test_somebody_does(monkeypatch, variables, overrides):
    checked(monkeypatch, variables, *overrides)


@pytest.mark.parametrize(
    ("variables", "port"),
    [
        ({"SLURM_JOB_ID": "123456", "SLURM_STEP_ID": "0"}, 18456),
        ({"SLURM_JOB_ID": "123456", "SLURM_STEP_ID": "1"}, 19465),
        ({"SLURM_JOB_ID": "9999", "SLURM_STEP_ID": "1"}, 16008),
        ({"SLURM_JOB_ID": "123456", "SLURM_STEP_ID": "1", "MASTER_PORT": "29500"}, 29500),
    ],
)
def test_each_step_of_a_job_has_a_port_of_its_own(monkeypatch, variables, port):
    monkeypatch.setattr(os, "environ", {**SCRIPT, **variables})
    (plugin,) = process_plugins()
    assert plugin.main_port == port
    assert os.environ["MASTER_PORT"] == str(port)


def test_outside_slurm_lightning_chooses_the_port(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    assert process_plugins() == []

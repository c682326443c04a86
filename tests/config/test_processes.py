"""A run that would wait for processes that nobody starts is refused."""

import pytest

from gat_lightning.config.check import check
from gat_lightning.errors import UserError
from support.configurations import composed

BY_HAND = {"MASTER_ADDR": "node0", "MASTER_PORT": "29500", "NODE_RANK": "0"}
STEP = {"SLURM_STEP_ID": "0"}
JOB = {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "train"}


def checked(monkeypatch, variables, *overrides):
    for name in ("LOCAL_RANK", "TORCHELASTIC_RUN_ID", *BY_HAND, *STEP, *JOB):
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
        (JOB, [], "has 2 tasks, and this process was not started by srun"),
        (JOB, ["+trainer.num_nodes=2"], "has 2 tasks, and this process was not started by srun"),
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
        ({**JOB, "SLURM_NTASKS": "1"}, []),
        ({**JOB, "SLURM_JOB_NAME": "bash"}, []),
    ],
)
def test_somebody_does(monkeypatch, variables, overrides):
    checked(monkeypatch, variables, *overrides)

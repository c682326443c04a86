"""Two processes equal one on the joined batch; copies to a GPU are not waited for."""

import json
import os
import socket
import time
from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import torch.distributed as dist

from gat_lightning.augment import CutMix, Identity, MaxUp, Mixup
from gat_lightning.curvature import Curvature
from gat_lightning.distributed import to_device
from gat_lightning.methods import Adversarial, Consistency, Free, Madry, Trades
from gat_lightning.methods.weight_perturbation import WeightPerturbation
from gat_lightning.training.callbacks import LastCheckpoint
from gat_lightning.weighting import FAMO
from support.commands import command, start
from support.failing_ranks import MESSAGE, RANKS
from support.joined_ranks import Joined
from support.trainers import quiet_trainer
from support.training_runs import SHORT, TINY
from support.training_steps import EPS, toy_module


@pytest.fixture(autouse=True)
def own_port():
    """Lightning leaves the port of the last processes in the environment, where commands would take it from."""
    yield
    os.environ.pop("MASTER_PORT", None)


class Shift(Identity):
    """Adds the same small number to all pixels of an image."""

    def draw(self, samples, generator):
        return torch.rand(samples, 1, generator=generator, dtype=torch.float64) / 4

    def __call__(self, images, values):
        return (images + values[:, :, None, None]).clamp(0, 1)


class Record(pl.Callback):
    """Writes what each rank saw."""

    def __init__(self, directory):
        self.directory, self.steps = directory, []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.steps.append((module.last_step.weights, module.last_step.losses, len(batch.images)))

    def on_train_end(self, trainer, module):
        state = {name: parameter.detach() for name, parameter in module.model.named_parameters()}
        torch.save({"steps": self.steps, "state": state}, self.directory / f"rank{trainer.global_rank}.pt")


def record(directory, devices, method, curvature, separate, **settings):
    directory.mkdir()
    trainer = quiet_trainer(
        max_epochs=1, devices=devices, strategy="ddp_spawn" if devices > 1 else "auto", callbacks=[Record(directory)]
    )
    trainer.fit(toy_module(method, curvature, None, separate, **deepcopy(settings)), datamodule=Joined())
    return [torch.load(directory / f"rank{rank}.pt", weights_only=True) for rank in range(devices)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "curvature", "separate", "settings"),
    [
        pytest.param(partial(Madry, "separate"), "objective", True, {}, id="madry_separate-objective-separate"),
        pytest.param(Adversarial, "penalty", False, {}, id="adversarial-penalty-shared"),
        pytest.param(partial(Free, EPS, replays=3), "off", True, {"augment": Mixup(Identity())}, id="free-mixup"),
        pytest.param(
            partial(Trades, eps=EPS, steps=2),
            "off",
            False,
            {"augment": CutMix(Identity()), "weight_perturbation": WeightPerturbation(0.02)},
            id="trades-cutmix-awp",
        ),
        pytest.param(Madry, Curvature(every=2), True, {"solve_every": 2}, id="madry-every-second-step"),
        pytest.param(Madry, "off", True, {"weighting": FAMO(), "micro_batch": 2}, id="madry-famo"),
        pytest.param(
            partial(Consistency, Madry("separate"), 3.0, 0.5), "objective", True, {"micro_batch": 2}, id="consistency"
        ),
        pytest.param(
            partial(Consistency, Trades(eps=EPS, steps=2), 3.0, 0.5, False, "all"),
            "off",
            False,
            {"solve_every": 2},
            id="consistency-trades-every-second-step",
        ),
        pytest.param(Madry, "off", True, {"augment": MaxUp(Shift(), 3), "micro_batch": 2}, id="madry-maxup"),
    ],
)
def test_parameters_and_weights_equal_the_one_process_run(tmp_path, make, curvature, separate, settings):
    (one,) = record(tmp_path / "one", 1, make(), curvature, separate, **settings)
    first, second = record(tmp_path / "two", 2, make(), curvature, separate, **settings)
    assert sorted([size for *_, size in rank["steps"]] for rank in (first, second)) == [[3, 3, 2], [3, 3, 3]]
    for (alone, losses, _), (mine, mine_losses, _), (theirs, *_) in zip(
        one["steps"], first["steps"], second["steps"], strict=True
    ):
        assert torch.equal(mine, theirs)
        assert torch.allclose(mine, alone, atol=1e-9)
        assert torch.allclose(mine_losses, losses, atol=1e-12)
    for name, value in one["state"].items():
        assert torch.equal(first["state"][name], second["state"][name])
        assert (first["state"][name] - value).abs().max() < 1e-10, name


class Count(pl.Callback):
    """Writes the collectives of the first step, with all that follows it, on rank 0."""

    def __init__(self, directory):
        self.path, self.called = directory / "collectives.json", []

    def on_train_start(self, trainer, module):
        for name in ("all_reduce", "broadcast", "broadcast_object_list", "all_gather_object", "barrier"):
            setattr(dist, name, partial(self.count, name, getattr(dist, name)))

    def count(self, name, collective, *arguments, **keywords):
        self.called.append(name)
        return collective(*arguments, **keywords)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx == 0:
            self.called.clear()
        elif batch_idx == 1 and trainer.is_global_zero:
            self.path.write_text(json.dumps(self.called))


@pytest.mark.slow
@pytest.mark.parametrize(("perturbation", "collectives"), [(None, 4), (0.02, 5)])
def test_collectives_of_a_step(tmp_path, perturbation, collectives):
    """Numbers of labels, adversarial weights, gradients, figures and the signal to stop, decoders."""
    trainer = quiet_trainer(max_epochs=1, devices=2, strategy="ddp_spawn", callbacks=[Count(tmp_path)])
    trainer.callbacks.append(LastCheckpoint(str(tmp_path), minutes=10))
    perturbed = WeightPerturbation(perturbation)
    trainer.fit(toy_module(Madry(), "off", None, False, weight_perturbation=perturbed), datamodule=Joined())
    assert json.loads((tmp_path / "collectives.json").read_text()) == collectives * ["all_reduce"]


@pytest.mark.slow
@pytest.mark.parametrize("rank", range(RANKS))
def test_all_stop_with_the_message_of_the_rank_that_failed(tmp_path, rank, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    done = command(
        "experiment=quickstart", *TINY, f"trainer.devices={RANKS}",
        f"+callbacks.fail={{_target_: support.failing_ranks.Fail, rank: {rank}, place: engine}}", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    shown = MESSAGE if rank == 0 else f"Process {rank} of {RANKS}: {MESSAGE}"
    assert done.stderr.count("Error: ") == 1
    assert f"Error: {shown}\n" in done.stderr
    (result,) = (json.loads(path.read_text()) for path in tmp_path.glob("outputs/*/result.json"))
    assert (result["status"], result["error"]) == ("failed", shown)
    (recorded,) = tmp_path.glob("outputs/*/result.json")
    assert time.time() - recorded.stat().st_mtime < 60


@pytest.mark.slow
def test_runs_of_a_sweep_have_two_processes_each(tmp_path):
    done = command(
        "-m", "experiment=quickstart", *TINY, *SHORT, "trainer.devices=2", "data.batch_size=50", "seed=0,1",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/*/result.json")]
    assert sorted((each["seed"], each["status"], each["device"]["processes"]) for each in results) == [
        (0, "finished", 2), (1, "finished", 2),
    ]  # fmt: skip
    assert all(each["checks"]["best"] for each in results)


@pytest.mark.slow
def test_a_process_that_cannot_begin_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    done = command(
        "experiment=quickstart", *TINY, "trainer.devices=2",
        "+callbacks.fail={_target_: support.failing_ranks.CannotBegin}", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    shown = "Process 1 of 2: it ended with status 1; its own message is above."
    assert f"Error: {MESSAGE}" in done.stderr
    assert f"Error: {shown}" in done.stderr
    (result,) = (json.loads(path.read_text()) for path in tmp_path.glob("outputs/*/result.json"))
    assert (result["status"], result["error"]) == ("failed", shown)


@pytest.mark.slow
def test_two_devices_from_the_command_line_count_each_image_once(tmp_path):
    done = command(
        "experiment=quickstart", *TINY, "trainer.max_epochs=1", "trainer.devices=2", "data.batch_size=50", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (result,) = (json.loads(path.read_text()) for path in tmp_path.glob("outputs/*/result.json"))
    for scores in result["metrics"].values():
        right = scores["test/clean/accuracy"] * 360
        assert right == pytest.approx(round(right), abs=1e-3)
    assert result["device"]["processes"] == 2


JOB = {"SLURM_JOB_ID": str(os.getpid() % 10000), "SLURM_JOB_NAME": "x", "SLURM_NTASKS": "2", "SLURM_NODEID": "0",
       "SLURM_NODELIST": "localhost", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1"}  # fmt: skip


def started_by_srun(folder, step, rank, **variables):
    """A process of a run of two, as SLURM's variables tell it."""
    return start(
        "experiment=quickstart", *TINY, "trainer.max_epochs=1", "trainer.devices=2", f"seed={step}", cwd=folder,
        **JOB, SLURM_STEP_ID=str(step), SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank), **variables,
    )  # fmt: skip


@pytest.mark.slow
def test_two_steps_of_one_slurm_job_run_on_one_node(tmp_path):
    started = [started_by_srun(tmp_path, step, rank) for step in range(2) for rank in range(2)]
    assert [(process.communicate(timeout=300)[1], process.returncode) for process in started] == 4 * [("", 0)]
    results = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/*/result.json")]
    assert [(result["status"], result["device"]["processes"]) for result in results] == 2 * [("finished", 2)]


@pytest.mark.slow
def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = started_by_srun(tmp_path, 0, 0, MASTER_PORT=port)
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith(f"Error: Port {port}, at which the processes of this run meet, is taken")


@pytest.fixture
def copies(monkeypatch):
    """Records pinning and copying, which need no GPU to be asked for."""
    made = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: made.append("pin") or tensor)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device, **how: made.append((str(device), how)) or tensor)
    return made


@pytest.mark.parametrize("device", ["cuda", torch.device("cuda", 1)])
def test_to_a_gpu(copies, device):
    to_device(torch.zeros(2), device)
    assert copies == ["pin", (str(device), {"non_blocking": True})]


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_to_another_device(copies, device):
    to_device(torch.zeros(2), device)
    assert copies == [(device, {})]


def test_from_elsewhere_to_a_gpu(copies):
    to_device(torch.empty(2, device="meta"), "cuda")
    assert copies == [("cuda", {})]


def test_a_tensor_that_is_there_stays_itself():
    tensor = torch.zeros(2)
    assert to_device(tensor, "cpu") is tensor

"""Out of memory: the run ends with what was in use and which settings need less."""

import json
import re
import resource

import pytest
import torch

from gat_lightning.commands.train.faults import is_out_of_memory, memory_advice
from gat_lightning.errors import UserError
from gat_lightning.runs.result import read_result
from gat_lightning.training.callbacks.peak_memory import GIB, peak_memory
from gat_lightning.training.module import GATModule
from support.memory import held
from support.processes import finished, only_run, start
from support.training_runs import trained

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), True),
        (MemoryError("Unable to allocate 7.28 TiB for an array"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"), False),
        (ValueError("out of memory of what was said"), False),
    ],
)
def test_what_is_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected


def test_what_the_allocator_says_is_understood():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(("batch", "micro", "smaller"), [(256, None, 128), (256, 64, 32), (1, None, 1)])
def test_the_advice(batch, micro, smaller):
    message = memory_advice(CPU, batch, micro)
    assert f"engine.micro_batch={smaller} " in message
    for setting in ("engine.space=representation", "engine.precision=bf16-mixed", "data.batch_size", "resume=auto"):
        assert setting in message
    assert f" {peak_memory(CPU) / GIB:.1f} GiB were in use" in message


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, MemoryError])
def test_a_run_that_has_no_memory_left(tmp_path, monkeypatch, kind):
    step, calls = GATModule.training_step, []

    def out_of_memory(self, *arguments):
        calls.append(arguments)
        if len(calls) > 2:
            raise kind("CUDA out of memory. Tried to allocate 20.00 GiB")
        step(self, *arguments)

    monkeypatch.setattr(GATModule, "training_step", out_of_memory)
    with pytest.raises(
        UserError, match=r"Out of memory on cpu\. \d+\.\d GiB were in use at most\. engine\.micro_batch=32"
    ):
        trained(tmp_path, "callbacks.last.minutes=0")
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "failed"
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2


def little_memory():
    """400 MB of addresses beyond those that the process has."""
    most = held("VmSize") + 400_000_000
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


@pytest.mark.slow
def test_a_command_that_is_refused_memory(tmp_path):
    settings = [
        "encoder.width=64", "data.batch_size=512", "data.fraction=0.5", "attack.steps=1", "test.attack.steps=1",
        "trainer.max_epochs=1", "+trainer.limit_train_batches=1", "+trainer.limit_test_batches=1",
    ]  # fmt: skip
    process = start(tmp_path, *settings, before=little_memory)
    assert finished(process, tmp_path) == 1
    log = (tmp_path / "log.txt").read_text()
    assert "Traceback" not in log
    (said,) = (line for line in log.splitlines() if line.startswith("Error: "))
    print(said)
    assert re.match(r"Error: Out of memory on cpu\. \d+\.\d GiB were in use at most\. engine\.micro_batch=256 ", said)
    assert read_result(only_run(tmp_path)).status == "failed"
    assert finished(start(tmp_path, *settings, "engine.micro_batch=16", before=little_memory), tmp_path) == 0

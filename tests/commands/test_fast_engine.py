"""engine=fast through the command: what it became is said, kept, and taken up by a resumed run, which ends the same."""

import re
from functools import partial

import pytest
import torch

from gat_lightning.config.checkpoint import load_checkpoint
from gat_lightning.errors import UserError
from support.interrupting import interrupt
from support.processes import assert_same_end, die_in, finished, only_run, start
from support.training_runs import SHORT, assert_same_run, trained

FAST = ("engine=fast", "encoder.width=16", "callbacks.last.minutes=0")


def bf16_is_here(monkeypatch, here):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: here)


@pytest.mark.usefixtures("undrawn")
def test_what_it_became_is_said_and_kept(monkeypatch, tmp_path):
    bf16_is_here(monkeypatch, True)
    result = trained(tmp_path, *FAST, *SHORT, "task=none", "weighting=mgda")
    engine = result["engine"]
    assert {**engine, "reasons": sorted(engine["reasons"])} == {
        "precision": "bf16-mixed",
        "compiled": False,
        "channels_last": True,
        "tf32": False,
        "reasons": ["channels_last", "compiled", "precision"],
    }
    assert result["introduction"]["engine"].startswith("bf16-mixed (this CPU has bf16 instructions), channels-last (")
    assert load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["gat_lightning"]["engine"] == engine
    assert result["config"]["engine"]["precision"] == result["config"]["trainer"]["precision"] == "auto"
    last = load_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert {value.dtype for value in last["state_dict"].values()} <= {torch.float32, torch.int64}
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_resumed_run_ends_the_same_and_is_refused_elsewhere(monkeypatch, tmp_path, caplog):
    bf16_is_here(monkeypatch, True)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    trained(whole, *FAST)
    interrupt(stopped, *FAST)
    bf16_is_here(monkeypatch, False)
    with pytest.raises(UserError, match="The run to resume was begun in bf16-mixed, and this machine lacks bf16"):
        trained(stopped, *FAST, "resume=auto")
    bf16_is_here(monkeypatch, True)
    result = trained(stopped, *FAST, "resume=auto")
    assert result["engine"]["reasons"] == dict.fromkeys(("precision", "channels_last", "compiled"), "as before")
    assert_same_run(whole, stopped)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_where_compiling_fails_the_run_goes_on_and_its_record_says_so(monkeypatch, tmp_path, caplog):
    def failing(*_):
        raise OSError("g++: fatal error: no input files")

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", failing)
    words = [*SHORT, "task=none", "weighting=mgda", "encoder.width=4"]
    results = [trained(tmp_path / word, f"engine.compile={word}", *words) for word in ("true", "false")]
    torch._dynamo.reset()
    assert results[0]["metrics"] == results[1]["metrics"]
    assert results[0]["engine"]["compiled"] is False
    assert results[0]["engine"]["reasons"] == {"compiled": "compiling failed"}
    assert caplog.text.count("Compiling failed, and the model runs uncompiled") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_digits_learn_under_attack_as_well_as_in_full_precision(tmp_path):
    """One short training each; the bound is wide, since the seed and the rounding alone move the score."""
    words = ["encoder.width=16", "data.fraction=1", "trainer.max_epochs=4", "task=none", "weighting=mgda"]
    scores = [
        trained(tmp_path / name, f"engine={name}", *words)["metrics"]["best"]["test/pgd2/accuracy"]
        for name in ("exact", "fast")
    ]
    assert min(scores) > 0.5
    assert abs(scores[0] - scores[1]) < 0.15


def _finish(process, output):
    assert finished(process, output) == 0, (output / "log.txt").read_text()[-3000:]


@pytest.mark.slow
def test_compiled_in_one_process_and_in_two_it_ends_the_same(tmp_path):
    words = ["engine=fast", "engine.compile=true", "encoder.width=16", "task=none", "weighting=mgda"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    _finish(start(whole, *words), whole)
    process = start(killed, *words, before=partial(die_in, "on_train_epoch_end", 1))
    assert finished(process, killed) != 0
    _finish(start(killed, *words, "resume=auto"), killed)
    assert_same_end(only_run(whole), only_run(killed))
    assert re.search(r"  engine +bf16-mixed", (killed / "log.txt").read_text())

"""What a training says of itself: before its first step, after its first ones, and at its end."""

import re
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gat_lightning.attacks import PGD
from gat_lightning.commands.train import estimate
from gat_lightning.commands.train.advice import long_on_cpu, nearly_full
from gat_lightning.commands.train.ending import ending, next_commands
from gat_lightning.commands.train.introduction import described
from gat_lightning.commands.train.testing import CheckpointScores
from gat_lightning.config.compiling import Work, rough_hours
from gat_lightning.config.options import option_of
from gat_lightning.evaluation.doubts import OutputCheck
from gat_lightning.evaluation.statistics import wilson_interval
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.telling import WIDTH, duration
from support.configurations import composed
from support.training_runs import SHORT, trained

SUBJECTS = [
    "data", "model", "objectives", "attack", "method", "weighting", "engine", "steps", "device", "directory", "stops",
]  # fmt: skip


def log_of(directory):
    return (directory / "gat.log").read_text()


def test_a_run_introduces_itself_before_its_first_step(quickstart):
    directory, result = quickstart
    told = result["introduction"]
    assert list(told) == SUBJECTS
    assert re.match(
        r"digits: 259 training images \(all labelled\), 29 validation, 360 test; 10 classes; 1x8x8", told["data"]
    )
    assert told["model"].startswith("preact_resnet_small, ")
    assert told["objectives"].split(", ")[:2] == ["class/clean", "class/adv"]
    assert told["objectives"].endswith("rotation/curvature")
    assert told["attack"] == "; ".join(f"{name}pgd2 (Linf, eps 0.15)" for name in ("", "validation ", "test "))
    assert (told["method"], told["weighting"]) == ("madry_separate", "mgda_floor")
    assert told["steps"].startswith("10 in all; 5 batches of 64 images an epoch")
    assert told["stops"] == "after epoch 2"
    log = log_of(directory)
    assert log.index("This run\n  data") < log.index("epoch 1/2") < log.index("epoch 2/2") < log.index("Next:")
    assert all(" ".join(text.split()) in " ".join(log.split()) for text in told.values())


def test_lines_fit_the_columns_and_only_commands_may_be_longer(quickstart):
    told, _, commands = log_of(quickstart[0]).partition("Next:\n")
    assert all(len(line) <= WIDTH or "/" in line for line in told.splitlines())
    epochs = [line for line in told.splitlines() if line.startswith("epoch ")]
    assert len(epochs) == 2
    for line in epochs:
        assert re.match(
            r"epoch \d/2  [\d.]+ s  clean \d+\.\d%  pgd2 \d+\.\d%  class/clean \d\.\d{3}  .* \+\d more$", line
        )
        assert len(line) <= WIDTH
    assert len(commands.splitlines()) == 2


def test_the_end_has_best_and_last_with_their_intervals(quickstart):
    directory, result = quickstart
    for checkpoint in ("best", "last"):
        for name in ("test/clean/accuracy", "test/pgd2/accuracy"):
            right = round(result["metrics"][checkpoint][name] * 360)
            assert result["intervals"][checkpoint][name] == pytest.approx(wilson_interval(right, 360))
    low, high = result["intervals"]["best"]["test/pgd2/accuracy"]
    log = log_of(directory)
    assert f"({low:.1%} to {high:.1%})" in log
    assert re.search(r"best \(epoch \d\) +last \(epoch 2\) +best - last", log)


@pytest.mark.usefixtures("undrawn")
def test_time_and_memory_are_estimated_after_the_first_steps(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(estimate, "STEPS", 2)
    result = trained(tmp_path, *SHORT, "task=none", "weighting=equal")
    found = re.fullmatch(r"([\d.]+) s in all: (\S+) s a step, .*", result["introduction"]["estimate"])
    assert 0 < float(found[2]) < float(found[1]) < 60
    assert re.fullmatch(r"\d+\.\d of \d+\.\d GiB at most so far", result["introduction"]["memory"])
    assert "After step 2\n  estimate  " in capsys.readouterr().out


def test_a_large_network_on_a_cpu_and_a_full_memory_get_a_word():
    """400 epochs of a ResNet-50 on CIFAR-10: 26 passes of 2.6 GFLOP."""
    config = composed("train", "paths.run=.")
    hours = rough_hours(Work(400 * 45_000 * 26 * 2.6e9, 100, 6), "cpu", 2)
    assert 1000 < hours < 5000
    assert long_on_cpu(hours, config) == (
        f"preact_resnet50 takes about {duration(3600 * hours)} on this CPU. Use a GPU, or a smaller setting:"
        " encoder=preact_resnet_small, data.fraction=0.1 or fewer trainer.max_epochs."
    )
    assert long_on_cpu(2, config) is None
    assert nearly_full(95, 100, config) == "95% of the memory are in use. engine.micro_batch=64 needs less."
    assert nearly_full(85, 100, config) is None


def test_radii_are_told_as_people_write_them():
    assert described(PGD(eps="8/255", steps=10)) == "pgd10 (Linf, eps 8/255)"
    assert described(PGD(norm="L2", eps=0.5, steps=7)) == "pgd7-l2 (L2, eps 0.5)"


@pytest.mark.parametrize(
    ("method", "weighting"), [("madry", "mgda"), ("madry_separate", "mgda_floor"), ("fat", "equal")]
)
def test_options_have_the_names_that_people_type(method, weighting):
    config = composed("train", f"method={method}", f"weighting={weighting}", "attack.eps=0.1", "paths.run=.")
    assert option_of("method", config.method) == method
    assert option_of("weighting", config.weighting) == weighting
    config.method._target_ = "somebodys.Own"
    assert option_of("method", config.method) == "Own"


@pytest.mark.parametrize("folder", ["runs", "my runs", 'a "b", c=d', "Läufe"])
def test_the_next_commands_can_be_typed(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directory = RunDirectory(f"{folder}/digits-1")
    for command, path in zip(
        next_commands("best", "multiclass", directory), (directory.checkpoint("best"), folder), strict=True
    ):
        python, _, module, setting, *_ = shlex.split(command)
        assert (python, module.partition(".")[0]) == ("python", "gat_lightning")
        assert OverridesParser.create().parse_override(setting).value() == str(path)


def test_an_undefined_score_has_its_reason(tmp_path):
    checks = {"clean": OutputCheck(24, 0, [24, 0], [24, 0])}
    scores = {"epoch": 3, "test/clean/auroc": float("nan"), "test/clean/accuracy": 1.0}
    both = ({"best": scores, "last": scores}, {"best": checks, "last": checks})
    shown = ending(CheckpointScores(*both, {}, None), "binary", RunDirectory(tmp_path), [])
    assert "nan" not in shown
    assert "best: clean/auroc is undefined: no positive among 24 labelled images." in shown
    assert "100.0%" in shown
    assert "evaluation=pgd100" in shown


def test_a_stage_of_a_run_names_no_commands(tmp_path):
    checks = {"last": {"clean": OutputCheck(24, 0, [24, 0], [24, 0])}}
    tested = CheckpointScores({"last": {"epoch": 1, "test/clean/accuracy": 1.0}}, checks, {}, None)
    run = RunDirectory(tmp_path)
    assert "Next:" in ending(tested, "multiclass", RunDirectory(run.teacher), [])
    run.hydra.mkdir()
    assert "Next:" not in ending(tested, "multiclass", RunDirectory(run.teacher), [])
    assert "Next:" in ending(tested, "multiclass", run, [])

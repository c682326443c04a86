"""The rows of the table: what is compared with what, and what the ratio is meant to be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from benchmarks import agreement, autoattack, commands, derivative, solvers, transforms, weighting
from benchmarks.arithmetic import operations
from benchmarks.contestants import CONTESTANTS, DERIVATIVES, HALF_LABELLED
from benchmarks.memory import peak_memory
from benchmarks.row import Bar, Row, ratio_row
from benchmarks.timing import Ratio, Tick, Times, interleaved
from benchmarks.work import Work
from gat_lightning.config.engine import this_machine
from gat_lightning.errors import UserError

CHECK_BATCH, CHECK_STEPS = 8, 2
PROBLEMS = 500
FEW = 3
_EAGER = " (fp32 eager)"

FAST = {
    ("ours, without curvature", "fast, without curvature"): Bar(least=2.2),
    ("ours, finite differences", "fast, finite differences"): Bar(least=1.7),
    ("ours", "fast"): Bar(least=1.5),
    ("LibMTL, without curvature", "fast, without curvature"): Bar(least=2.5),
    ("LibMTL", "fast, finite differences"): Bar(least=2.0),
    ("LibMTL", "fast"): Bar(least=1.8),
}
"""Pairs of contestants, and how many times as fast the second is meant to be."""

COMPILED = {
    ("LibMTL, without curvature", "ours, compiled channels-last, without curvature"): Bar(least=1.5),
    ("LibMTL", "ours, compiled channels-last, finite differences"): Bar(least=2, goal=True),
    ("LibMTL", "ours, compiled channels-last"): Bar(least=1.5, goal=True),
}
"""The same without bf16."""


def _times(work: Work, names: Iterable[str], rounds: int, tick: Tick) -> Times:
    return interleaved({name: CONTESTANTS[name](work).step for name in names}, rounds, tick)


def _pairs(
    group: str, pairs: Mapping[tuple[str, str], Bar | None], note: str, work: Work, rounds: int, tick: Tick
) -> list[Row]:
    """A row for each pair of contestants, all timed together; ``note`` follows the name of the first."""
    times = _times(work, dict.fromkeys(name for pair in pairs for name in pair), rounds, tick)
    return [ratio_row(group, f"{a}{note} / {b}", times, a, b, bar) for (a, b), bar in pairs.items()]


def step(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """Our eager step against the peers and the floor, after the check that all compute the same gradients."""
    checked = replace(work, batch=min(CHECK_BATCH, work.batch), steps=min(CHECK_STEPS, work.steps))
    check = {"differences": agreement.check(checked, tick), "norms": agreement.step_norms(checked)}
    names = ["ours", "ours, finite differences", "LibMTL", "TorchJD", "floor"]
    times = _times(work, names, rounds, tick)
    row = partial(ratio_row, "step", times=times)
    return [
        Row("step", "same gradients (in detail)", detail=check),
        row(what="LibMTL / ours, exact", numerator="LibMTL", denominator="ours", bar=Bar(least=1.25)),
        row(what="LibMTL / ours, finite differences", numerator="LibMTL", denominator=names[1], bar=Bar(least=1.5)),
        row(what="TorchJD / ours, exact", numerator="TorchJD", denominator="ours"),
        row(what="ours, exact / floor", numerator="ours", denominator="floor", bar=Bar(most=1.1)),
    ]


def arithmetic(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """Operations of a step: the ratio that the same passes could reach if arithmetic were all that takes time."""
    counts = {}
    for name in ("ours", "ours, finite differences", "LibMTL", "floor"):
        tick(f"operations of {name}")
        counts[name] = operations(name, work)
    found = []
    for name, what in (("ours", "exact"), ("ours, finite differences", "finite differences")):
        ratio = counts["LibMTL"] / counts[name]
        detail = {f"{each} (GFLOP)": count / 1e9 for each, count in counts.items()}
        found.append(
            Row("arithmetic", f"operations: LibMTL / ours, {what}", Ratio(ratio, ratio, ratio), None, None, detail)
        )
    return found


def wide(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """The same at twice the width, in few rounds."""
    names = ["ours", "ours, finite differences", "LibMTL", "floor"]
    times = _times(replace(work, width=2 * work.width), names, min(rounds, FEW), tick)
    width = f"width {2 * work.width}: "
    return [
        ratio_row("wide", width + "LibMTL / ours, exact", times, "LibMTL", "ours", Bar(least=1.25)),
        ratio_row("wide", width + "LibMTL / ours, finite differences", times, "LibMTL", names[1], Bar(least=1.5)),
        ratio_row("wide", width + "ours, exact / floor", times, "ours", "floor", Bar(most=1.1)),
    ]


def fast(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """``engine=fast`` against ``engine=exact`` and against the peer, with each curvature."""
    if not this_machine("cpu").bf16:
        lacking = {"not run": "no AVX512-BF16 or AMX"}
        return [Row("fast", f"{a}{_EAGER} / {b}", bar=bar, detail=lacking) for (a, b), bar in FAST.items()]
    return _pairs("fast", FAST, _EAGER, work, rounds, tick)


def compiled(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """Our step compiled and channels-last, in fp32, against the peer; the first, uncounted round compiles."""
    return _pairs("compiled", COMPILED, _EAGER, work, rounds, tick)


def less(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """Two cycles of ten steps with one solve and exact curvature each, against a single task; FAMO against MGDA."""
    pairs: dict[tuple[str, str], Bar | None] = {
        **{("two cycles", single): Bar(most=1.25) for single in CONTESTANTS if "single task" in single},
        ("FAMO", "ours"): None,
        ("FAMO, without curvature", "ours, without curvature"): None,
    }
    return _pairs("less", pairs, "", work, rounds, tick)


def consistency(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """Consistency on the half of the images that has no label of the target, against a step without it on as many."""
    before, after = HALF_LABELLED
    pairs = {(f"{after}{curvature}", f"{before}{curvature}"): Bar(most=1.15) for curvature in DERIVATIVES}
    return _pairs("consistency", pairs, "", work, rounds, tick)


def differences(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """How well finite differences agree with the double backward, by the length of the displacement."""
    found = derivative.compare(work, tick)
    return [Row("differences", "finite differences against the double backward (in detail)", detail=found)]


def memory(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """Peak memory, each contestant in a process of its own."""
    peaks = {}
    for name in ("ours", "ours, finite differences", "LibMTL", "TorchJD"):
        tick(f"memory of {name}")
        peaks[name] = peak_memory(name, work)
        if not peaks[name] > 0:
            raise UserError(
                f"a step of '{name}' is too small to be seen in the process's peak memory; enlarge the batch"
            )
    found = []
    for ours in ("ours", "ours, finite differences"):
        ratio = peaks[ours] / peaks["LibMTL"]
        detail = {f"{name} (MiB)": peak for name, peak in peaks.items()}
        found.append(Row("memory", f"memory: {ours} / LibMTL", Ratio(ratio, ratio, ratio), Bar(most=0.8), None, detail))
    return found


def weights(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """The part of a step that the Gramian and MGDA take."""
    times = weighting.compare(work, min(rounds, FEW), tick)
    parts = [sum(each) for each in zip(times.wall("gramian"), times.wall("solve"), strict=True)]
    ratio = Ratio.of(parts, times.wall("step"))
    return [Row("weighting", "Gramian and MGDA / step", ratio, Bar(most=0.01), None, times.seconds())]


def transformed(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """Rotation and jigsaw of 256 images against loops, and against a step on ``work.batch`` images."""
    times = transforms.compare(work, min(rounds, FEW), tick)
    steps = _times(work, ["ours"], min(rounds, FEW), tick)
    found = []
    for task, least in (("rotation", 3.0), ("jigsaw", 5.0)):
        found.append(ratio_row("transforms", f"{task}: loop / ours", times, f"{task}, loop", task, Bar(least=least)))
        share = Ratio.of([seconds / transforms.REPEATS for seconds in times.wall(task)], steps.wall("ours"))
        found.append(Row("transforms", f"{task} / step", share, Bar(most=0.005), None, steps.seconds()))
    return found


def representation(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """The two gradient spaces, without curvature and without the attack."""
    parameters, ours = "after the attack, parameters", "after the attack, representation"
    times = _times(work, [parameters, ours], rounds, tick)
    what = "parameters / representation, after the attack"
    return [ratio_row("representation", what, times, parameters, ours, Bar(least=2))]


def solved(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """Norms that MGDA's solvers reach on random gradients."""
    tick("MGDA's solvers")
    found = solvers.compare(PROBLEMS, work.seed)
    excess = found["ours"]["largest excess"]
    ratio = Ratio(*(1 + found["ours"][which] for which in ("largest excess", "median excess", "largest excess")))
    what = "norm that our MGDA reaches / best of three"
    assert excess >= 0
    return [Row("solvers", what, ratio, Bar(most=1 + 1e-6), None, found)]


def attacked(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """AutoAttack of test images, after the check that the same images withstand it.

    The images of CIFAR-10 are read from the file that the variable ``CIFAR10`` names.
    """
    file = os.environ.get("CIFAR10")
    subjects = {"digits": autoattack.digits(work)}
    if file is not None:
        subjects["CIFAR-10"] = autoattack.cifar10(work, Path(file))
    found = []
    for name, subject in subjects.items():
        times, detail = autoattack.compare(subject, work, rounds, tick)
        for numerator, denominator, what, bar in (
            ("ours", "torchattacks", "ours / torchattacks", Bar(most=1.05)),
            ("torchattacks", "ours, fast", "torchattacks / fast", Bar(least=1.3)),
            ("ours", "ours, fast", "ours / fast", None),
        ):
            what = f"AutoAttack, {name}: {what}"
            found.append(ratio_row("autoattack", what, times, numerator, denominator, bar, detail))
    if file is None:
        found.append(Row("autoattack", "AutoAttack, CIFAR-10", detail={"not run": "CIFAR10=FILE.npz is not set"}))
    return found


def gpu(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """One GPU: our fast step against our own in fp32 and eager, ResNet-50, batch 128."""
    bar, what = Bar(least=2.5), "GPU: fp32 eager / fast"
    if not torch.cuda.is_available():
        return [Row("gpu", what, bar=bar, detail={"not run": "no GPU"})]
    big = replace(work, encoder="preact_resnet50", width=64, batch=128, device="cuda")
    names = ["ours", "fast", "fast, finite differences"]
    times = _times(big, names, rounds, tick)
    peaks = {name: peak_memory(name, big) for name in names}
    found = []
    for name, each in ((names[1], bar), (names[2], None)):
        detail = {"peak memory (MiB)": {contestant: peaks[contestant] for contestant in ("ours", name)}}
        found.append(ratio_row("gpu", f"GPU: fp32 eager / {name}", times, "ours", name, each, detail))
    return found


def command(work: Work, rounds: int, tick: Tick) -> list[Row]:
    """Whole trainings by the command."""
    found = []
    for training in commands.TRAININGS:
        times, detail = commands.compare(training, work, rounds, tick)
        what = f"{training.what}: engine=exact / engine=fast"
        found.append(ratio_row("command", what, times, "exact", "fast", Bar(least=training.least), detail))
    return found


GROUPS: dict[str, Callable[[Work, int, Tick], list[Row]]] = {
    "step": step,
    "arithmetic": arithmetic,
    "wide": wide,
    "fast": fast,
    "compiled": compiled,
    "less": less,
    "consistency": consistency,
    "differences": differences,
    "memory": memory,
    "weighting": weights,
    "transforms": transformed,
    "representation": representation,
    "solvers": solved,
    "autoattack": attacked,
    "gpu": gpu,
    "command": command,
}
USUAL = [name for name in GROUPS if name != "command"]
"""Those that are run where none are chosen: the commands take half an hour."""

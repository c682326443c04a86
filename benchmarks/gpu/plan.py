"""Everything that is measured on a GPU, the most important first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.gpu import collectives, commands, environment, gramian, graph, numerics, steps, throughput, training
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.session import Item
from benchmarks.gpu.switches import Switches

HOUR = 3600.0
COMPILING = 240.0
"""Limit in seconds where passes are compiled."""


def machine_itself(machine: Machine) -> Item:
    """The first item, of every call: which machine it is."""
    return Item("environment", "machine", partial(machine.measure, environment.describe), 0, 120)


def plan(machine: Machine) -> dict[str, list[Item]]:
    """The items of each phase."""
    return {name: list(phase(name, machine)) for name, phase in PHASES.items()}


def _item(
    machine: Machine, phase: str, name: str, seconds: float, limit: float, function: Callable[..., Any], *given: Any
) -> Item:
    return Item(phase, name, partial(machine.measure, function, *given), *machine.sized((seconds, limit), (0, HOUR)))


def _environment(phase: str, machine: Machine) -> Iterator[Item]:
    yield _item(machine, phase, "torch.compile", 20, 120, environment.compiles)


def _commands(phase: str, machine: Machine) -> Iterator[Item]:
    for name, overrides in commands.VARIANTS.items():
        limit = COMPILING if "engine=fast" in overrides else 60
        yield _item(machine, phase, name, 8, limit, commands.training, overrides)
    yield _item(machine, phase, "resumed", 10, 60, commands.resumed)
    for name, overrides in commands.EVALUATIONS.items():
        yield _item(machine, phase, f"evaluation: {name}", 15, COMPILING, commands.evaluation, overrides)


def _numerics(phase: str, machine: Machine) -> Iterator[Item]:
    for derivative in ("exact", "finite_difference"):
        for precision in numerics.PRECISIONS:
            yield _item(
                machine, phase, f"{derivative}, {precision}", 10, 90, numerics.against_float64, derivative, precision
            )
    for deterministic in (False, True):
        name = f"the same step twice, deterministic={deterministic}"
        yield _item(machine, phase, name, 5, 60, numerics.same_twice, deterministic)


def _gramian(phase: str, machine: Machine) -> Iterator[Item]:
    for objectives, parameters in gramian.SIZES:
        for way in gramian.WAYS:
            name = f"K={objectives}, P={parameters}, {way}"
            yield _item(machine, phase, name, 2, 30, gramian.duration, way, objectives, parameters)


def _step(phase: str, machine: Machine) -> Iterator[Item]:
    """The engines, with each curvature; then eager steps in each precision and layout."""
    for curvature, derivative in steps.CURVATURES.items():
        for engine, (settings, switches) in steps.ENGINES.items():
            seconds, limit = (45, COMPILING) if engine == steps.FAST else (8, 60)
            chosen = settings | {"derivative": derivative}
            yield _item(machine, phase, f"{engine}, {curvature}", seconds, limit, steps.step, chosen, switches)
    settings, switches = steps.ENGINES[steps.FAST]
    chosen = settings | {"derivative": "off", "attack": False}
    yield _item(machine, phase, f"{steps.FAST}, without attack", 20, COMPILING, steps.step, chosen, switches)
    for name, settings in steps.grid(compiled=False).items():
        yield _item(machine, phase, name, 8, 60, steps.step, settings, Switches(tf32=False))


def _throughput(phase: str, machine: Machine) -> Iterator[Item]:
    for name, overrides in throughput.VARIANTS.items():
        yield _item(machine, phase, name, 30, COMPILING, throughput.training, overrides)


def _collectives(phase: str, machine: Machine) -> Iterator[Item]:
    for name, overrides in collectives.TRAININGS.items():
        yield _item(machine, phase, name, 10, 60, collectives.training, overrides)
    yield _item(machine, phase, "broadcast of an object", 5, 60, collectives.broadcast)


def _graph(phase: str, machine: Machine) -> Iterator[Item]:
    yield _item(machine, phase, "fp32", 8, 60, graph.attack, False)
    yield _item(machine, phase, "bf16, channels-last", 8, 60, graph.attack, True)


def _compiled(phase: str, machine: Machine) -> Iterator[Item]:
    """Compiled steps in each precision and layout; a rehearsal takes one."""
    settings = steps.grid(compiled=True)
    for name in list(settings)[: machine.sized(None, 1)]:
        yield _item(machine, phase, name, 45, COMPILING, steps.step, settings[name], Switches(tf32=False))


def _training(phase: str, machine: Machine) -> Iterator[Item]:
    """Trainings that a later call goes on with where the time was not enough; a rehearsal takes one."""
    obstacle = "needs --data FILE" if machine.data is None else None
    for name in list(training.RUNS)[: machine.sized(None, 1)]:
        yield replace(_item(machine, phase, name, 30, HOUR, training.run, name), obstacle=obstacle)


PHASES: dict[str, Callable[[str, Machine], Iterator[Item]]] = {
    "environment": _environment,
    "commands": _commands,
    "numerics": _numerics,
    "gramian": _gramian,
    "step": _step,
    "throughput": _throughput,
    "collectives": _collectives,
    "graph": _graph,
    "compiled": _compiled,
    "training": _training,
}

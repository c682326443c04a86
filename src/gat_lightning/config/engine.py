"""What ``auto`` in the settings of the engine becomes on a machine, and what a resumed run keeps of it."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.util import find_spec
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from gat_lightning.config.compiling import Work, compiling_pays
from gat_lightning.errors import SettingError, UserError
from gat_lightning.models.encoding import check_channels_last

AUTO = "auto"
FULL, MIXED = "32-true", "bf16-mixed"

# Other names of Lightning's for a precision.
_SYNONYMS = {None: FULL, 32: FULL, "32": FULL, 64: "64-true", "64": "64-true"}


@dataclass(frozen=True)
class Machine:
    """What the resolution depends on.

    Attributes:
        device: type of the device, such as ``cuda``.
        bf16: whether the device has instructions for products of bf16 numbers.
        compiler: whether torch.compile has the compilers that it needs for the device.
        threads: torch's on a CPU.
    """

    device: str
    bf16: bool
    compiler: bool
    threads: int = 1


@dataclass(frozen=True)
class ResolvedEngine:
    """How the passes of a run are computed.

    Attributes:
        precision: Lightning's name of it.
        compiled: whether the encoder is compiled.
        channels_last: whether images and convolutions are in that memory layout.
        tf32: whether a GPU may round float32 products to TF32.
        reasons: why ``precision``, ``compiled`` and ``channels_last`` are what they are, where nobody chose them.
    """

    precision: str = FULL
    compiled: bool = False
    channels_last: bool = False
    tf32: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "ResolvedEngine":
        """From what :meth:`plain` made of one."""
        return cls(**{each.name: plain[each.name] for each in fields(cls) if each.name in plain})

    def plain(self) -> dict[str, Any]:
        """As plain types, for the checkpoint and ``result.json``."""
        return asdict(self)

    def __str__(self) -> str:
        """What is on, with the reasons."""
        parts = {
            "precision": self.precision,
            "channels_last": "channels-last" if self.channels_last else "contiguous",
            "compiled": "compiled" if self.compiled else "not compiled",
        }
        told = [f"{text} ({self.reasons[name]})" if name in self.reasons else text for name, text in parts.items()]
        return ", ".join([*told, *(["TF32"] if self.tf32 else [])])


def this_machine(accelerator: str) -> Machine:
    """The machine on which a process runs.

    Args:
        accelerator: of Lightning's trainer, or a type of device: ``cpu``, ``gpu``, ``cuda``, ``mps`` or ``auto``.
    """
    device = device_type(accelerator)
    if device == "cuda":
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        bf16 = device == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return Machine(device, bf16, _has_compiler(device), torch.get_num_threads())


def resolved_training(
    config: DictConfig,
    model: nn.Module,
    machine: Machine,
    work: Work | None = None,
    before: ResolvedEngine | None = None,
) -> ResolvedEngine:
    """How a training is computed.

    Args:
        config: of the training; what is typed in ``trainer`` goes before what is typed in ``engine``.
        model: the model.
        machine: on which it trains.
        work: of the whole training; None where it is not known, which counts as too little to compile for.
        before: how the run to resume was computed, which it keeps wherever a setting is ``auto``; None for one that
            begins.

    Raises:
        UserError: the machine lacks what the run to resume was begun with.
    """
    precision = _SYNONYMS.get(asked := config.trainer.get("precision"), asked)
    reasons = {}
    if precision == AUTO:
        precision = MIXED if machine.bf16 else FULL
        reasons["precision"] = f"this {_name(machine)} {'has' if machine.bf16 else 'lacks'} bf16 instructions"
    layout, compiled = _passes(config, model, machine, work, precision, reasons)
    now = ResolvedEngine(precision, compiled, layout, config.engine.tf32, reasons)
    return now if before is None else _kept(config, now, before, machine)


def resolved_evaluation(config: DictConfig, model: nn.Module, machine: Machine, work: Work | None) -> ResolvedEngine:
    """How an evaluation is computed: always in IEEE float32. Arguments as of :func:`resolved_training`."""
    reasons: dict[str, str] = {}
    layout, compiled = _passes(config, model, machine, work, FULL, reasons)
    return ResolvedEngine(FULL, compiled, layout, False, reasons)


def _passes(
    config: DictConfig, model: nn.Module, machine: Machine, work: Work | None, precision: str, reasons: dict[str, str]
) -> tuple[bool, bool]:
    """Whether passes are channels-last, and whether they are compiled; the reasons are added to ``reasons``."""
    layout, compiled = config.engine.channels_last, config.engine.compile
    if layout == AUTO:
        layout, reasons["channels_last"] = _layout_pays(model, machine, precision)
    if compiled and not machine.compiler:
        compiled, reasons["compiled"] = False, "there is no compiler: install g++, or Triton for a GPU"
    if compiled == AUTO:
        compiled, reasons["compiled"] = compiling_pays(work, machine.device, machine.threads, precision == MIXED)
    return layout, compiled


def _layout_pays(model: nn.Module, machine: Machine, precision: str) -> tuple[bool, str]:
    """Whether a model should be channels-last, and why."""
    if not any(isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1 for module in model.modules()):
        return False, "the model has no convolutions"
    try:
        check_channels_last(model, torch.device(machine.device))
    except SettingError:
        return False, "a 1x1 convolution of it would corrupt memory"
    if machine.device != "cpu" and precision != MIXED:
        return False, f"it does not pay on a {_name(machine)} in {precision}"
    return True, "convolutions are faster so"


def _kept(config: DictConfig, now: ResolvedEngine, before: ResolvedEngine, machine: Machine) -> ResolvedEngine:
    """What a run that resumes goes on with: what it was begun with, wherever a setting is ``auto``.

    Raises:
        UserError: this machine lacks that.
    """
    asked = {
        "precision": config.trainer.get("precision"),
        "channels_last": config.engine.channels_last,
        "compiled": config.engine.compile,
    }
    kept = {name: getattr(before, name) for name, value in asked.items() if value == AUTO}
    if kept.get("precision") == MIXED and not machine.bf16:
        raise UserError(_not_here(f"in {MIXED}", "bf16 instructions", "engine.precision=32-true"))
    if kept.get("compiled") is True and not machine.compiler:
        raise UserError(_not_here("compiled", "a compiler", "engine.compile=false"))
    return replace(now, **kept, reasons={**now.reasons, **dict.fromkeys(kept, "as before")})


def _not_here(how: str, part: str, setting: str) -> str:
    return (
        f"The run to resume was begun {how}, and this machine lacks {part}: resume it on one like that on which it was"
        f" begun, or set {setting}, with which its numbers will not be those of an undisturbed run."
    )


def device_type(accelerator: str) -> str:
    """``cpu``, ``cuda`` or ``mps``: what one of Lightning's accelerators is on this machine."""
    if accelerator in ("cpu", "mps"):
        return accelerator
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _has_compiler(device: str) -> bool:
    """Whether the compilers that Inductor calls for code of a device are installed."""
    windows = sys.platform == "win32"
    cpp = os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    found = shutil.which(cpp) is not None
    if device == "cuda":
        c = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), "cl" if windows else "gcc")
        return find_spec("triton") is not None and shutil.which(c) is not None
    return device == "cpu" and found


def _name(machine: Machine) -> str:
    return "CPU" if machine.device == "cpu" else "GPU"

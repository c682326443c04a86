"""A word where another choice is wise: too large for a CPU, slow on a GPU, nearly too large for the memory."""

from omegaconf import DictConfig

from gat_lightning.config.engine import FULL as FLOAT32
from gat_lightning.config.engine import ResolvedEngine
from gat_lightning.config.options import option_of
from gat_lightning.runs.telling import duration

LONG = 24.0
"""Hours from which a training on a CPU is better done otherwise."""

LONG_ON_GPU = 2.0
"""Hours from which the faster engine is worth a word."""

FULL = 0.9
"""Share of the memory above which a training may run out of it."""

_SMALL = "preact_resnet_small"


def long_on_cpu(hours: float, config: DictConfig) -> str | None:
    """What to choose instead of a training on a CPU that takes a day or more; None for a shorter one.

    Args:
        hours: how long it takes.
        config: of the training.
    """
    if hours < LONG:
        return None
    option = option_of("encoder", config.encoder)
    smaller = [f"encoder={_SMALL}"] if option != _SMALL else []
    smaller += ["data.fraction=0.1"] if config.data.get("fraction", 0) == 1 else []
    smaller += ["fewer trainer.max_epochs"]
    return (
        f"{option} takes about {duration(3600 * hours)} on this CPU. Use a GPU, or a smaller setting:"
        f" {', '.join(smaller[:-1])}{' or ' if smaller[:-1] else ''}{smaller[-1]}."
    )


def slow_on_gpu(hours: float, engine: ResolvedEngine) -> str | None:
    """What is faster than float32 without compiling on a GPU; None for a short training, or one that is faster already.

    Args:
        hours: how long it takes.
        engine: how it is computed.
    """
    if hours < LONG_ON_GPU or engine.precision != FLOAT32 or engine.compiled:
        return None
    return "engine=fast is faster on a GPU: bf16 and compiled passes."


def nearly_full(used: float, total: float, config: DictConfig) -> str | None:
    """What saves memory where more than 90 % of it are in use; None where less is.

    Args:
        used: bytes at most so far.
        total: bytes that there are.
        config: of the training.
    """
    if used <= FULL * total:
        return None
    smaller = max((config.engine.micro_batch or config.data.batch_size) // 2, 1)
    return f"{used / total:.0%} of the memory are in use. engine.micro_batch={smaller} needs less."

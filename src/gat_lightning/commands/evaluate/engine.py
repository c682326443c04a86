"""How an evaluation is computed: ``engine.compile`` and ``engine.channels_last``."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from omegaconf import DictConfig

from gat_lightning.attacks import Attack
from gat_lightning.config.compiling import work_of_evaluation
from gat_lightning.config.engine import AUTO, ResolvedEngine, resolved_evaluation, this_machine
from gat_lightning.config.naming import naming
from gat_lightning.evaluation.target import Target
from gat_lightning.models.compiled import FastClassifier
from gat_lightning.models.encoding import check_channels_last
from gat_lightning.runs.directory import setting_of, typed_overrides

log = logging.getLogger(__name__)

READ = ("engine.compile", "engine.channels_last")
"""The settings of the engine that an evaluation reads."""


def set_engine(
    config: DictConfig, target: Target, image: tuple[int, int, int], images: int, attacks: Sequence[Attack]
) -> ResolvedEngine:
    """Let the target's classifier run as ``engine`` says, and say how that is.

    Args:
        config: of the evaluation.
        target: whose model is replaced by one with the same outputs, but for rounding.
        image: shape ``(C, H, W)`` of the images.
        images: how many are attacked.
        attacks: all that are run on them.

    Raises:
        UserError: the layout is asked for and would corrupt memory.
    """
    warn_of_unread()
    work = None
    if config.engine.compile == AUTO:
        work = work_of_evaluation(target.model, image, images, target.task.outputs, attacks)
    engine = resolved_evaluation(config, target.model, this_machine(target.device.type), work)
    if engine.compiled and target.attacked:
        engine = _not_compiled(engine, "attack.tasks names more than the target")
    if engine.compiled or engine.channels_last:
        if engine.channels_last:
            with naming(config, "engine"):
                check_channels_last(target.model, target.device)
        fast = FastClassifier(target.model, engine.channels_last)
        target.model = fast
        if engine.compiled:
            probe = torch.rand(max(2, config.batch_size), *image, generator=torch.Generator().manual_seed(0))
            if (reason := fast.try_to_compile(probe.to(target.device))) is not None:
                engine = _not_compiled(engine, reason)
                log.warning("The classifier runs as it is: %s.", reason)
    log.info("Engine: %s.", engine)
    return engine


def _not_compiled(engine: ResolvedEngine, reason: str) -> ResolvedEngine:
    return replace(engine, compiled=False, reasons={**engine.reasons, "compiled": reason})


def warn_of_unread() -> None:
    """Warn of settings of the engine that are typed and that an evaluation does not read."""
    for name in map(setting_of, typed_overrides()):
        if name.startswith("engine.") and name not in READ:
            log.warning(
                "%s has no effect on an evaluation, which is in fp32 and reads %s alone.", name, " and ".join(READ)
            )

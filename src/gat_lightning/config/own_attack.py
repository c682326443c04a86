"""Settings of the group ``attack`` that have no effect because the method has its own attack."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.files import READ_ELSEWHERE
from gat_lightning.runs.overrides import setting_of


def without_effect(config: DictConfig, overrides: Sequence[str]) -> str | None:
    """A warning where an attack, or a setting of it, was typed that the method does not take.

    Args:
        config: of the run.
        overrides: what was typed.

    Returns:
        What has no effect, and what the method takes; None where all that was typed counts.
    """
    method = OmegaConf.to_container(config.method, resolve=False)
    assert isinstance(method, dict)
    taken = re.findall(r"\battack\.(\w+)", " ".join(map(str, method.values())))
    if not taken:  # it trains on the attack that is configured
        return None
    names = [f"attack.{key}" for key in dict.fromkeys([*taken, *READ_ELSEWHERE["attack"]])]
    ignored = [
        text
        for text in overrides
        if (setting := setting_of(text)) not in names and (setting == "attack" or setting.startswith("attack."))
    ]
    if not ignored:
        return None
    return (
        f"{', '.join(ignored)}: without effect on the training, since {config.method._target_.rpartition('.')[2]} has"
        f" an attack of its own, which takes {', '.join(names)} only."
    )

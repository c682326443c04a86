"""An example command for each option of the configuration."""

from __future__ import annotations

import textwrap

_TRAIN = "python -m gat_lightning.train"
_SWEEP = f"{_TRAIN} -m"
_EVALUATE = "python -m gat_lightning.evaluate"
_CHECKPOINT = "checkpoint=RUN/checkpoints/best.ckpt"

_COMMANDS = {
    "evaluation": f"{_EVALUATE} {_CHECKPOINT} evaluation={{}}",
    "format": f"python -m gat_lightning.export {_CHECKPOINT} format={{}}",
    "experiment/paper": f"{_SWEEP} experiment=paper/{{}}",
    "experiment/study": f"{_SWEEP} experiment=study/{{}}",
    "hydra/launcher": f"{_SWEEP} hydra/launcher={{}} seed=0,1,2",
    "hydra/sweeper": f"{_SWEEP} hydra/sweeper={{}} weighting=equal,mgda_floor",
}
"""The command that selects an option of a group; a training where none is named."""

_CHEST = "data=chexpert data.root=FOLDER"
_PICTURES = "data=images data.root=PICTURES"
_ARRAYS = "data.path=FILE.npz"
_FURTHER = {
    "data": dict.fromkeys(("images", "chexpert", "nih", "robin"), "data.root=FOLDER") | {"arrays": _ARRAYS},
    "task": {"age": _CHEST, "gender": _CHEST, "depth": "task.depth.teacher=FILE.pt"},
    "method": {"fast": "schedule=cyclic"},
    "weighting": {"ca_at": "method=madry_separate"},
    "encoder": {"timm": "encoder.name=convnext_atto", "torchvision": "encoder.name=resnet50"},
    "experiment": {
        "catastrophic_overfitting": _ARRAYS,
        "recommended": _PICTURES,
        "recommended_cpu": _PICTURES,
    },
    "experiment/paper": dict.fromkeys(("figure4", "figure6", "table10"), "data.root=FOLDER"),
}
"""What else is typed with an option."""

_INSTEAD = {
    "attack": {
        name: f"{_EVALUATE} {_CHECKPOINT} evaluation={name}"
        for name in ("apgd_ce", "apgd_t", "autoattack", "autoattack_rand", "cw", "fab")
    },
    "callbacks": {name: f"{_TRAIN} callbacks=default+{name}" for name in ("early_stopping", "ema", "swa")},
    "experiment": {
        "digits_search": f"{_SWEEP} experiment=digits_search",
        "methods": f"{_SWEEP} experiment=methods method=madry,trades seed=0,1",
    },
    "hydra/launcher": {"processes": f"{_EVALUATE} runs=outputs jobs=2"},
    "paths": {"default": f"{_TRAIN} paths.data=FOLDER paths.output=FOLDER"},
    "trainer": {"default": f"{_TRAIN} trainer.max_epochs=100 trainer.devices=2"},
}
"""The command for options that are not selected in the way of their group."""

_COLUMNS = 79


def example(group: str, option: str) -> str:
    """A command with an option, in lines of less than 80 columns.

    Args:
        group: such as ``experiment/paper``.
        option: one of its options.
    """
    command = _COMMANDS.get(group, f"{_TRAIN} {group}={{}}").format(option)
    command = f"{command} {_FURTHER.get(group, {}).get(option, '')}".rstrip()
    command = _INSTEAD.get(group, {}).get(option, command)
    lines = textwrap.wrap(
        command, _COLUMNS - len(" \\"), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return " \\\n".join(lines)

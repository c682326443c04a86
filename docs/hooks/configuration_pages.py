"""The configuration reference, made of the YAML files: a comment above a key is its description."""

from __future__ import annotations

import re
from pathlib import Path

from gat_lightning.config.documented import Option, read_option
from gat_lightning.info import BINARY_LABELS

COMMANDS = {
    "train": "gat_lightning.train",
    "evaluate": "gat_lightning.evaluate",
    "report": "gat_lightning.report",
    "compare": "gat_lightning.compare",
    "export": "gat_lightning.export",
    "statistics": "gat_lightning.data statistics",
}
"""Files of the top level, and what is typed for them."""

GROUPS = {
    "data": "The images, and the label of the target task.",
    "task": "Auxiliary tasks; names join with `+` in any order.",
    "method": "The training method (outer minimisation), which decides the losses of a step.",
    "attack": "The attack (inner maximisation) in training (`attack`), `validation.attack` and `test.attack`.",
    "weighting": "The weights of the objectives' gradients.",
    "encoder": "The encoder: the shared trunk.",
    "augment": "Data augmentation of training images.",
    "optimizer": "The optimiser.",
    "schedule": "The learning-rate schedule.",
    "callbacks": "Callbacks of a training; names join with `+`.",
    "logger": "Loggers besides `metrics.csv`; names join with `+`.",
    "trainer": "Lightning's trainer.",
    "debug": "Debugging presets.",
    "evaluation": "The attacks of an evaluation; names join with `+`.",
    "format": "The format of an export.",
    "experiment": "Complete settings. Further overrides change them.",
    "experiment/paper": "The paper's tables and figures, each a sweep: `-m experiment=paper/table2`.",
    "paths": "Folders.",
    "hydra": "Names of run directories and texts of `--help`, by command. There is nothing to choose.",
    "hydra/launcher": "The launcher of a sweep (`-m`). Hydra's `basic` and `joblib` (an extra) are also available.",
    "hydra/sweeper": "The division of a sweep (`-m`) into runs.",
    "recipe": "Parts of the paper's experiments.",
}
"""What each group is for; groups that are not named here come after these, without a word."""


def groups(conf: Path) -> dict[str, list[str]]:
    """Every folder with YAML files, those of :data:`GROUPS` first, with the names of its options."""
    found = {path.parent.relative_to(conf).as_posix() for path in conf.rglob("*.yaml")} - {"."}
    ordered = [name for name in GROUPS if name in found] + sorted(found - set(GROUPS))
    return {name: sorted(path.stem for path in (conf / name).glob("*.yaml")) for name in ordered}


def pages(conf: Path) -> dict[str, str]:
    """Markdown of every page by its address below ``configuration/``: ``index.md``, and one for each group."""
    known = groups(conf)
    return {"index.md": _index(conf, known), **{page_of(name): _group(conf, name, known) for name in known}}


def page_of(group: str) -> str:
    """Address of a group's page, such as ``hydra-launcher.md``."""
    return f"{group.replace('/', '-')}.md"


def anchor_of(group: str, option: str) -> str:
    """Where an option stands on the page of its group."""
    return f"{group}-{option}".replace("/", "-").replace("_", "-")


def _index(conf: Path, known: dict[str, list[str]]) -> str:
    parts = [
        "# Configuration\n\nGenerated from the YAML files under `conf/`. Override a setting with `KEY=VALUE`, and"
        " select an option with `GROUP=OPTION`. `python -m gat_lightning.train --help` prints all settings, including"
        " the effect of overrides on the command line. Values of the form `${...}` follow another setting.\n\n"
        "| group | options |\n|---|---|\n",
    ]
    for name, options in known.items():
        links = ", ".join(f"[`{each}`]({page_of(name)}#{anchor_of(name, each)})" for each in options)
        parts.append(f"| [`{name}`]({page_of(name)}) | {links} |\n")
    for name, command in COMMANDS.items():
        option = read_option(conf / f"{name}.yaml", "")
        parts.append(f"\n## {name} {{#{name}}}\n\n`python -m {command}`: {_about(option.about.partition(': ')[0])}.\n")
        parts.append(_details(option, "", known))
    return "".join(parts)


def _group(conf: Path, name: str, known: dict[str, list[str]]) -> str:
    parts = [f"# {name}\n\n{GROUPS.get(name, '')}\n"]
    for each in known[name]:
        option = read_option(conf / name / f"{each}.yaml", name.replace("/", "."))
        parts.append(f"\n## {option.name} {{#{anchor_of(name, option.name)}}}\n\n{_about(option.about)}\n")
        parts.append(_details(option, name, known))
    return "".join(parts) + (_label_tasks() if name == "task" else "")


def _label_tasks() -> str:
    """The tasks without a file."""
    of_data = "".join(
        f"| `{data}` | {', '.join(map('`{}`'.format, names))} |\n" for data, names in BINARY_LABELS.items()
    )
    return (
        "\n## Labels of the data set {#task-labels}\n\nEvery binary label that the data set declares is a task of its"
        " name, without a file: `task=edema`. `task.edema.pos_weight` is the weight of the positives in its loss: a"
        " number, `balanced` (negatives per positive in training), or null for 1. A file of that name, also in a folder"
        f" of your own, comes before the label.\n\n| data set | labels |\n|---|---|\n{of_data}"
    )


def _details(option: Option, own: str, known: dict[str, list[str]]) -> str:
    """What an option makes, begins with and sets; ``own`` is its group, "" at the top level."""
    parts = []
    if option.target:
        parts.append(f"\nCreates `{option.target}`.\n")
    if option.choices:
        shown = ", ".join(_linked(choice, own, known) for choice in option.choices)
        parts.append(f"\nStarts from {shown}.\n")
    if option.settings:
        parts.append("\n| setting | default | meaning |\n|---|---|---|\n")
        for each in option.settings:
            default = "" if each.default is None else f"`{each.default}`".replace("|", "\\|")
            parts.append(f"| `{each.path}` | {default} | {_about(each.meaning)} |\n")
    return "".join(parts)


def _linked(choice: str, own: str, known: dict[str, list[str]]) -> str:
    """A choice of a defaults list, with links to its options where they are ours."""
    group, _, option = choice.rpartition("=")
    group = group.partition("@")[0] or own
    names = option.split("+")
    if not set(names) <= set(known.get(group, ())):
        return f"`{choice}`"
    if len(names) == 1:
        return f"[`{choice}`]({page_of(group)}#{anchor_of(group, option)})"
    return f"`{choice}` (" + ", ".join(f"[`{name}`]({page_of(group)}#{anchor_of(group, name)})" for name in names) + ")"


def _about(text: str) -> str:
    """A comment as Markdown: text between backquotes stays, what HTML or a table would take away is kept."""
    plain = re.split(r"(`[^`]*`)", text)
    kept = [part if part.startswith("`") else re.sub(r"([<>*\[\]|])", r"\\\1", part) for part in plain]
    return "".join(kept)

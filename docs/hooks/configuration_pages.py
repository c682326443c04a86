"""The configuration reference, made of the YAML files: a comment above a key is its description."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from configuration_examples import example

from gat_lightning.config.documented import Option, Setting, read_option
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
    "engine": "Precision, memory layout and compiling: the same in all runs, or as fast as the machine allows.",
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
    "experiment/study": "Our own studies, each a sweep: `-m experiment=study/few_labels_digits`.",
    "paths": "Folders.",
    "hydra/launcher": "The launcher of a sweep (`-m`). Hydra's `basic` and `joblib` (an extra) are also available.",
    "hydra/sweeper": "The division of a sweep (`-m`) into runs.",
}
"""What each group is for; groups that are not named here come after these, without a word."""

_INTERNAL = ("hydra", "recipe")
"""Groups from which nothing is selected on a command line: names of run directories, and parts of the experiments."""

_FOLDED = 5
"""More settings than these are folded."""

_SIGN = re.compile(r"[<>*\[\]|]|(?<!\w)_|_(?!\w)")
_PAGE = re.compile(r"\bdocs/([\w-]+\.md)")


def groups(conf: Path) -> dict[str, list[str]]:
    """Every folder with YAML files, those of :data:`GROUPS` first, with the names of its options."""
    found = {path.parent.relative_to(conf).as_posix() for path in conf.rglob("*.yaml")} - {"."}
    ordered = [name for name in GROUPS if name in found] + sorted(found - set(GROUPS))
    return {name: sorted((path.stem for path in (conf / name).glob("*.yaml")), key=_in_words) for name in ordered}


def _in_words(name: str) -> list[str | int]:
    """What sorts ``table2`` before ``table10``."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def is_internal(group: str) -> bool:
    """Whether a group has no page, because nothing is selected from it."""
    return group in _INTERNAL or group.startswith("recipe/")


def pages(conf: Path) -> dict[str, str]:
    """Markdown of every page by its address below ``configuration/``: ``index.md``, and one for each group."""
    known = {name: options for name, options in groups(conf).items() if not is_internal(name)}
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
        "## Groups\n\n| group | what it selects, and its options |\n|---|---|\n",
    ]
    for name, options in known.items():
        links = ", ".join(f"[`{each}`]({page_of(name)}#{anchor_of(name, each)})" for each in options)
        parts.append(f"| [`{name}`]({page_of(name)}) | {GROUPS.get(name, '')}<br>{links} |\n")
    for name, command in COMMANDS.items():
        option = read_option(conf / f"{name}.yaml", "")
        parts.append(f"\n## {name} {{#{name}}}\n\n`python -m {command}`: {_about(option.about.partition(': ')[0])}.\n")
        parts += [_made_from(option, "", known), _table(option.settings)]
    return "".join(parts)


def _group(conf: Path, name: str, known: dict[str, list[str]]) -> str:
    options = [read_option(conf / name / f"{each}.yaml", name.replace("/", ".")) for each in known[name]]
    parts = [f"# {name}\n\n{GROUPS.get(name, '')}\n\n| option | what it is |\n|---|---|\n"]
    for each in options:
        sentence = re.split(r"(?<=\.) (?=[A-Z])", each.about)[0]
        parts.append(f"| [`{each.name}`](#{anchor_of(name, each.name)}) | {_about(sentence)} |\n")
    for each in options:
        parts.append(f"\n## {each.name} {{#{anchor_of(name, each.name)}}}\n\n{_about(each.about)}\n")
        parts.append(f"\n```bash\n{example(name, each.name)}\n```\n")
        parts += [_made_from(each, name, known), _settings_of(each)]
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


def _made_from(option: Option, own: str, known: dict[str, list[str]]) -> str:
    """What an option makes and begins with; ``own`` is its group, "" at the top level."""
    parts = []
    if option.target:
        parts.append(f"\nCreates `{option.target}`.\n")
    if option.choices:
        shown = ", ".join(_linked(choice, own, known) for choice in option.choices)
        parts.append(f"\nStarts from {shown}.\n")
    return "".join(parts)


def _settings_of(option: Option) -> str:
    """The described settings of an option in a table, which is folded if it is long, and the others below it."""
    described = [each for each in option.settings if each.meaning]
    table = _table(described)
    if len(described) > _FOLDED:
        table = f'\n??? note "{len(described)} settings"\n{textwrap.indent(table, "    ")}'
    others = ", ".join(f"`{each.path}={each.default}`" for each in option.settings if not each.meaning)
    return table + (f"\nSets {others}.\n" if others else "")


def _table(settings: list[Setting]) -> str:
    if not settings:
        return ""
    rows = ["\n| setting | default | meaning |\n|---|---|---|\n"]
    for each in settings:
        default = "" if each.default is None else f"`{each.default}`".replace("|", "\\|")
        rows.append(f"| `{each.path}` | {default} | {_about(each.meaning)} |\n")
    return "".join(rows)


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
    """A comment as Markdown: text between backquotes stays, signs of Markdown and HTML are kept, pages are linked."""
    plain = re.split(r"(`[^`]*`)", text)
    kept = [part if part.startswith("`") else _SIGN.sub(r"\\\g<0>", part) for part in plain]
    return _PAGE.sub(r"[\g<0>](../\1)", "".join(kept))

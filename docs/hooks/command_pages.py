"""The reference of the commands: what ``--help`` prints, from the commands themselves."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

COMMANDS = {
    "train": ["gat_lightning.train"],
    "evaluate": ["gat_lightning.evaluate"],
    "report": ["gat_lightning.report"],
    "compare": ["gat_lightning.compare"],
    "export": ["gat_lightning.export"],
    "demo": ["gat_lightning.demo"],
    "statistics": ["gat_lightning.data", "statistics"],
    "runs": ["gat_lightning.runs"],
}
"""Headings, and what stands between ``python -m`` and ``--help``."""

_SETTINGS = "\nEvery setting"
_FOLDED = 40
"""More lines of settings than these are folded."""


def page() -> str:
    """Markdown of the page."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = list(pool.map(help_of, COMMANDS.values()))
    parts = [
        "# Commands\n\nEach command prints its help with `--help`. That of `train` and `evaluate` also shows the effect"
        " of overrides on the command line. [Configuration](configuration/index.md) describes the settings.\n"
    ]
    for (name, words), text in zip(COMMANDS.items(), texts, strict=True):
        typed = " ".join(words)
        parts.append(f"\n## {name}\n\n{_shown(f'$ python -m {typed} --help', text)}\n")
    return "".join(parts)


def _shown(typed: str, text: str) -> str:
    """The text of a help in a fence; a long list of settings is folded below it."""
    usage, _, settings = text.partition(_SETTINGS)
    if settings.count("\n") <= _FOLDED:
        return _fence(f"{typed}\n{text}")
    title, _, lines = settings.partition("\n")
    first = _fence(f"{typed}\n{usage.rstrip()}")
    folded = textwrap.indent(_fence(lines.strip()), "    ")
    return f'{first}\n\n??? note "Every setting{title}"\n\n{folded}'


def _fence(text: str) -> str:
    return f"```text\n{text}\n```"


def help_of(words: list[str]) -> str:
    """What a command prints with ``--help``, in a process of its own: Hydra changes the logging of the one it runs in.

    Args:
        words: the module, and its arguments if any.

    Raises:
        subprocess.CalledProcessError: the command fails.
    """
    done = subprocess.run([sys.executable, "-m", *words, "--help"], capture_output=True, text=True, check=True)
    return done.stdout.strip()

"""What the README and the pages under ``docs/`` ask people to type."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

_FENCE = re.compile(r"^([ ]*)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A line of a shell, without comments.

    Attributes:
        page: name of the file.
        words: what the shell makes of it.
    """

    page: str
    words: tuple[str, ...]

    def __str__(self):
        return f"{self.page}: {' '.join(self.words)}"


def name_of(page):
    return page.relative_to(REPOSITORY).as_posix()


def prose(page):
    """A page's text without its line ends."""
    return " ".join(page.read_text().split())


def blocks_of(page):
    """Its fenced blocks in order, each as language and lines."""
    return [(language, code.splitlines()) for _, language, code in _FENCE.findall(page.read_text())]


def examples_of(page, language):
    """Its examples in a language, in order."""
    return [code for _, found, code in _FENCE.findall(page.read_text()) if found == language]


def python_of(page):
    """Its Python examples, in order."""
    return examples_of(page, "python")


def commands_of(page):
    """Lines of its shell examples, and whole commands between backquotes in the text."""
    text = page.read_text()
    lines = []
    for _, language, block in _FENCE.findall(text):
        joined = block.replace("\\\n", " ").splitlines()
        if language == "bash":
            lines += joined
        elif language == "console":
            lines += [line.removeprefix("$ ") for line in joined if line.startswith("$ ")]
    lines += re.findall(r"`(python -m gat_lightning\.[^`]+)`", _FENCE.sub("", text))
    split = (tuple(shlex.split(line, comments=True)) for line in lines)
    return [Command(name_of(page), words) for words in split if words]


def settings_of(page):
    """``KEY=VALUE`` between backquotes in the text, but for arguments of a Python call."""
    spans = re.findall(r"`([^`\n]+)`", _FENCE.sub("", page.read_text()))
    words = [word for span in spans if "(" not in span for word in span.split()]
    return [word for word in words if re.fullmatch(r"[a-z][\w./]*=(?!True|False)\S+", word)]


def links_of(text):
    """Targets of its links and pictures, but for those in code."""
    prose = re.sub(r"`[^`\n]*`", "code", _FENCE.sub("", text))
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def anchors_of(text):
    """Places of a page that a link can lead to, as GitHub and the site name them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()).strip() for heading in headings)
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


_RUN_DIRECTORIES = (REPOSITORY / "docs" / "run-directories.md").read_text()
DESCRIBED = set(re.findall(r"`([^`\n]+)`", _RUN_DIRECTORIES.replace("```", "")))
FOLDERS = {name for name in DESCRIBED if name.endswith("/")}


def undescribed_files(directory):
    names = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    return {
        name
        for name in names
        if not {name, Path(name).name} & DESCRIBED and not name.startswith(tuple(FOLDERS - {"checkpoints/", "images/"}))
    }

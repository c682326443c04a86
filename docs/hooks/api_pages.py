"""The API reference, made of the docstrings: the public names, and apart from them the internal modules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import griffe
from docstring_roles import as_markdown

PUBLIC = "api"
"""Folder of the pages of public names."""
INTERNAL = "internals"
"""Folder of the pages of everything else."""


@dataclass(frozen=True)
class PublicName:
    """A name that the package exports.

    Attributes:
        name: as it is imported from the package.
        path: dotted, where it is defined.
        part: module or package below the top level that it comes from.
        summary: first line of its docstring, as Markdown.
    """

    name: str
    path: str
    part: str
    summary: str


class Reference:
    """The pages of a package.

    Args:
        package: its folder.
    """

    def __init__(self, package: Path) -> None:
        self._root = griffe.load(package.name, search_paths=[package.parent])
        self.public = list(self._public_names())
        self._paths = {each.path: f"{package.name}.{each.name}" for each in self.public}

    def index(self) -> str:
        """Markdown of the list of public names, a line for each, by the part of the package that they come from."""
        name = self._root.name
        lines = [
            f"# Public names\n\nEvery name below can be imported from `{name}`, as in `from {name} import PGD, MGDA`."
            " Its module is imported when the name is first used.\n\nThese names are stable: a change that breaks code"
            " which uses them comes with a new minor version and is listed in the [changelog](changelog.md). All other"
            f" modules are [internal]({INTERNAL}/index.md) and may change in any version."
        ]
        for part in self._parts():
            lines.append(f"\n## {part}\n\n{self._summary(part)}\n")
            lines += [f"- [`{each.name}`][{name}.{each.name}]: {each.summary}" for each in self._of(part)]
        return "\n".join(lines) + "\n"

    def public_pages(self) -> dict[str, str]:
        """Markdown of the pages with the documentation of the public names, by address below :data:`PUBLIC`."""
        return {f"{part}.md": self._public_page(part) for part in self._parts()}

    def internal_pages(self) -> dict[str, str]:
        """Markdown of the pages with the other modules, by address below :data:`INTERNAL`."""
        parts = sorted(name for name, part in self._root.modules.items() if not name.startswith("_"))
        pages = {f"{part}.md": self._internal_page(part) for part in parts}
        rows = "".join(f"| [`{part}`]({part}.md) | {self._summary(part)} |\n" for part in parts)
        index = (
            "# Internal modules\n\nThese modules may change in any version. Code that should go on working imports the"
            f" [public names](../names.md).\n\n| module or package | content |\n|---|---|\n{rows}"
        )
        return {"index.md": index, **pages}

    def address_of(self, path: str) -> str:
        """Where the site documents a module, class, function or method: a page and a place in it.

        Args:
            path: dotted.
        """
        owner = next((known for known in self._paths if path == known or path.startswith(f"{known}.")), None)
        if owner is not None:
            part = next(each.part for each in self.public if each.path == owner)
            return f"{PUBLIC}/{part}.md#{self._paths[owner]}{path.removeprefix(owner)}"
        part = path.split(".")[1] if "." in path else "index"
        return f"{INTERNAL}/{part}.md#{path}"

    def _public_names(self) -> Iterator[PublicName]:
        for name, each in self._root.members.items():
            if each.is_alias and each.target_path.startswith(f"{self._root.name}."):
                target = each.final_target
                yield PublicName(name, target.path, target.path.split(".")[1], _first_line(target))

    def _parts(self) -> list[str]:
        return sorted({each.part for each in self.public})

    def _of(self, part: str) -> list[PublicName]:
        """Those of a part, in the order of the alphabet."""
        return sorted((each for each in self.public if each.part == part), key=lambda each: each.name.lower())

    def _summary(self, part: str) -> str:
        return _first_line(self._root[part])

    def _public_page(self, part: str) -> str:
        names = "\n".join(f"::: {self._root.name}.{each.name}\n" for each in self._of(part))
        return (
            f"# {part}\n\n{self._summary(part)}\n\nThe names on this page are [public](../names.md). The rest of"
            f" `{self._root.name}.{part}` is [internal](../{INTERNAL}/{part}.md).\n\n{names}"
        )

    def _internal_page(self, part: str) -> str:
        modules = "\n".join(map(self._block, self._modules(self._root[part])))
        notice = "Internal: may change in any version. Import the [public names](../names.md) instead."
        return f"# {part}\n\n{notice}\n\n{modules}"

    def _block(self, module: griffe.Module) -> str:
        """What mkdocstrings is told of a module: of a package the docstring alone, else all that is not public."""
        if module.is_init_module:
            return f"::: {module.path}\n    options:\n      members: false\n"
        public = [path.rpartition(".")[2] for path in self._paths if path.rpartition(".")[0] == module.path]
        if not public:
            return f"::: {module.path}\n"
        hidden = f"!^({'|'.join(map(re.escape, public))})$"
        return f'::: {module.path}\n    options:\n      filters: ["!^_[^_]", "{hidden}"]\n'

    def _modules(self, module: griffe.Module) -> Iterator[griffe.Module]:
        """A module and all below it but private ones; packages where they have a docstring."""
        if module.has_docstring or not module.is_init_module:
            yield module
        for _, each in sorted(module.modules.items()):
            if not each.is_alias and not each.name.startswith("_"):
                yield from self._modules(each)


def _first_line(obj: griffe.Object) -> str:
    return as_markdown(obj.docstring.value.partition("\n")[0], obj) if obj.docstring else ""

"""The API reference: one page for each package, and one for each module beside them."""

from __future__ import annotations

import ast
from pathlib import Path

import griffe
from docstring_roles import as_markdown


def pages(package: Path) -> dict[str, str]:
    """Markdown of every page by its address below ``api/``."""
    found = {"index.md": _index(package)}
    for path in sorted(package.iterdir()):
        name = path.stem
        if (path / "__init__.py").is_file():
            modules = [".".join(("gat_lightning", *module)) for module in _modules(path, package)]
            found[f"{name}.md"] = f"# {name}\n\n" + "\n".join(f"::: {module}\n" for module in modules)
        elif path.suffix == ".py" and not name.startswith("_"):
            found[f"{name}.md"] = f"# {name}\n\n::: gat_lightning.{name}\n"
    return found


def public_names(package: Path) -> str:
    """Markdown of the page that lists what ``gat_lightning`` exports: a line for each name, by module."""
    root = griffe.load(package.name, search_paths=[package.parent])
    lines = [
        f"# Public names\n\nEvery name below can be imported from `{package.name}`, as in `from {package.name} import"
        " PGD, MGDA`. Its module is imported when the name is first used. [API](api/index.md) documents the rest.",
    ]
    for node in ast.parse((package / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            heading = f"\n## {package.name}.{node.module}\n\n{_summary(root[node.module])}\n"
            lines += [heading] if heading not in lines else []
            found = [root[f"{node.module}.{alias.name}"] for alias in node.names]
            found = [each.final_target if each.is_alias else each for each in found]
            lines += [f"- [`{each.name}`][{each.path}]: {_summary(each)}" for each in found]
    return "\n".join(lines) + "\n"


def _summary(obj: griffe.Object) -> str:
    """First line of a docstring."""
    return as_markdown(obj.docstring.value.partition("\n")[0], obj)


def place_of(module: str) -> str:
    """Address of the page of a module ``gat_lightning.…``, below ``api/``."""
    return f"{module.split('.')[1]}.md" if "." in module else "index.md"


def _modules(folder: Path, package: Path) -> list[tuple[str, ...]]:
    """Public modules of a package, itself first where it says something."""
    found = []
    for path in sorted(folder.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path.name)):
        parts = path.relative_to(package).with_suffix("").parts
        if path.name == "__init__.py":
            if path.read_text().startswith('"""'):
                found.append(parts[:-1])
        elif not any(part.startswith("_") for part in parts):
            found.append(parts)
    return found


def _index(package: Path) -> str:
    lines = ["# API", "", "Made of the docstrings.", "", "| page | what it has |", "|---|---|"]
    for path in sorted(package.iterdir(), key=lambda path: (path.is_file(), path.name)):
        source = path / "__init__.py" if path.is_dir() else path
        if source.is_file() and not path.name.startswith("_") and source.suffix == ".py":
            lines.append(f"| [`{path.stem}`]({path.stem}.md) | {_first_sentence(source.read_text())} |")
    return "\n".join(lines) + "\n"


def _first_sentence(text: str) -> str:
    return text.removeprefix('"""').partition("\n")[0].rstrip('"') if text.startswith('"""') else ""

"""What mkdocs calls: generated pages, their navigation, and links that work in the repository and on the site."""

from __future__ import annotations

import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Any

import command_pages
import configuration_pages
import formulas
import tutorial_pages
from api_pages import INTERNAL, PUBLIC, Reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "gat_lightning"
ROOT_FILES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "speed.md",
}
"""Files beside this folder that are pages too."""

ORIGINS = {name: source for source, name in ROOT_FILES.items()} | {
    f"tutorials/{tutorial_pages.page_of(name)}": f"notebooks/{name}.ipynb" for name in tutorial_pages.ADDRESSES
}
"""Pages that are made of a file outside this folder, whose links are relative to that file."""

GUIDES_BOOST = 2.0
"""How much more a page that somebody wrote counts in a search than a generated one."""

_CELL = re.compile(r"<t[dh]\b.*?</t[dh]>", re.DOTALL)
_RANGE = re.compile(r"(?<=\d) to (?=[-+]?\d)|(?<=[≤≥]) (?=\d)")
_LONG_CODE = re.compile(r"(?<=<code>)[^<\n]{20,}(?=</code>)")
_LONG_NAME = re.compile(r"(?<=<code>)(?=[^<]*[^<\s]{32})[^<\n]+(?=</code>)")
_BREAK = re.compile(r"(?<=[,:/=+])(?=[\w${\[])|(?<=\.)(?=[^\W\d])")
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"^[ ]*```.*?^[ ]*```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_HIDDEN = re.compile("\0(\\d+)\0")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make fences of formulas known, and put the generated pages into the navigation."""
    _api.cache_clear()
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {}).setdefault("custom_fences", [])
    fences.append({"name": "math", "class": "math", "format": formulas.fence})
    places = {
        f"{folder}/": [f"{folder}/{name}" for name in pages if name.endswith(".md")]
        for folder, pages in _generated().items()
    }
    config.nav = [_expanded(entry, places) for entry in config.nav or ()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and those whose files are beside this folder."""
    for folder, pages in _generated().items():
        for name, content in pages.items():
            files.append(File.generated(config, f"{folder}/{name}", content=content))
    files.append(File.generated(config, "names.md", content=_api().index()))
    files.append(File.generated(config, "commands.md", content=command_pages.page()))
    for source, name in ROOT_FILES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links to files of the repository become links to what the site has of them; guides come first in a search."""
    uri = page.file.src_uri
    origin = ORIGINS.get(uri, f"docs/{uri}")
    if page.file.generated_by and uri not in ORIGINS:
        return markdown
    page.meta.setdefault("search", {"boost": GUIDES_BOOST})
    code: list[str] = []

    def hide(match: re.Match[str]) -> str:
        code.append(match[0])
        return f"\0{len(code) - 1}\0"

    def show(text: str) -> str:
        return _HIDDEN.sub(lambda match: code[int(match[1])], text)

    hidden = _CODE.sub(hide, markdown)
    return show(_LINK.sub(lambda match: _link(show(match[1]), match[2], origin, uri), hidden))


def on_page_content(html: str, **_: Any) -> str:
    """Names that are long for a line, or for a cell of a table, may break after a dot or a sign."""
    return _LONG_NAME.sub(_with_breaks, _CELL.sub(lambda cell: _cell(cell[0]), html))


def _cell(html: str) -> str:
    """A cell with its ranges of numbers on one line, and without the backslash before a ``|``."""
    html = _RANGE.sub(lambda spaced: spaced[0].replace(" ", "&nbsp;"), html)
    return _LONG_CODE.sub(_with_breaks, html.replace("\\|", "|"))


def _with_breaks(code: re.Match[str]) -> str:
    return _BREAK.sub("<wbr>", code[0])


def site_address(target: str) -> str | None:
    """Where the site has what the repository has at a path, with ``#`` and a place in it if given; None for nowhere."""
    path, _, place = target.partition("#")
    path = path.rstrip("/")
    if path == "README.md":
        return _with("index.md", place)
    if path in ROOT_FILES:
        return _with(ROOT_FILES[path], place)
    if path.startswith("docs/"):
        return _with(path.removeprefix("docs/"), place)
    if path == "src/gat_lightning/__init__.pyi":
        return _with("names.md", place)
    if path.startswith("src/gat_lightning"):
        module = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        return _api().address_of(f"{module}.{place}" if place else module)
    if path.startswith("notebooks/") and Path(path).stem in tutorial_pages.ADDRESSES:
        return f"tutorials/{tutorial_pages.page_of(Path(path).stem)}"
    if path.startswith("conf/"):
        return _configuration(path.removeprefix("conf/"))
    return None


def _link(text: str, target: str, origin: str, uri: str) -> str:
    """A link on the page ``uri`` of the site, for one in the file ``origin`` of the repository."""
    if re.match(r"\w+:|#", target):
        return f"[{text}]({target})"
    path, mark, place = target.partition("#")
    full = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path)) + mark + place
    address = site_address(full)
    if address is None:
        return f"`{full}`" if full.endswith(text.strip("`")) else f"{text} (`{full}`)"
    page, mark, place = address.partition("#")
    return f"[{text}]({posixpath.relpath(page, posixpath.dirname(uri) or '.')}{mark}{place})"


def _configuration(path: str) -> str:
    folder, _, name = path.rpartition("/")
    if not path.endswith(".yaml"):
        return f"configuration/{configuration_pages.page_of(path)}"
    option = name.removesuffix(".yaml")
    if not folder:
        return f"configuration/index.md#{option}"
    return f"configuration/{configuration_pages.page_of(folder)}#{configuration_pages.anchor_of(folder, option)}"


def _with(page: str, place: str) -> str:
    return f"{page}#{place}" if place else page


@cache
def _api() -> Reference:
    """The API, read once in a build."""
    return Reference(PACKAGE)


def _generated() -> dict[str, dict[str, Any]]:
    return {
        "tutorials": tutorial_pages.pages(ROOT / "notebooks"),
        "configuration": configuration_pages.pages(ROOT / "conf"),
        PUBLIC: _api().public_pages(),
        INTERNAL: _api().internal_pages(),
    }


def _expanded(entry: Any, places: dict[str, list[str]]) -> Any:
    if isinstance(entry, dict):
        return {title: _expanded(value, places) for title, value in entry.items()}
    if isinstance(entry, list):
        return [_expanded(value, places) for value in entry]
    return places.get(entry, entry)

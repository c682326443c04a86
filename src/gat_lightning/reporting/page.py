"""The HTML page of a report: one self-contained file for any screen width."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from gat_lightning.reporting.tables import Summary

_LARGEST_SIDE = 1100
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.note { color: #777; font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 9rem; overflow-wrap: anywhere; }
td.best { font-weight: 700; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
figcaption { font-size: .85rem; color: #777; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
li { overflow-wrap: anywhere; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr)); gap: .5rem; }
.panels > * { margin: 0; align-self: start; }
figure > img { max-width: min(100%, 640px); }
@media (max-width: 600px) {
  .cards, .cards tbody, .cards tr, .cards td { display: block; }
  .cards thead { display: none; }
  .cards tr { padding: .5rem 0; border-bottom: 1px solid #8884; }
  .cards td { display: flex; justify-content: space-between; border: 0; padding: .1rem 0; white-space: normal; }
  .cards td::before { content: attr(data-name); color: #777; padding-right: 1rem; }
  .cards td:empty { display: none; }
  .cards td:first-child { font-weight: 600; justify-content: flex-start; }
  .cards td:first-child::before { content: none; }
}
"""


@dataclass(frozen=True)
class Section:
    """Section of the page.

    Attributes:
        title: title of the section.
        body: HTML.
    """

    title: str
    body: str


def table(summary: Summary) -> str:
    """HTML of a table in a scrolling box; on a narrow screen each row is a card."""
    names = ("setting", "seeds", *summary.headers)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = []
    for label, seeds, cells in zip(summary.labels, summary.seeds, summary.cells, strict=True):
        figures = "".join(
            f'<td{" class=best" if cell.best else ""} data-name="{escape(name)}">{escape(cell.text)}</td>'
            for name, cell in zip(summary.headers, cells, strict=True)
        )
        rows.append(f'<tr><td>{escape(label)}</td><td data-name="seeds">{seeds}</td>{figures}</tr>')
    return _cards(head, rows)


def rows(headers: Sequence[str], texts: Sequence[Sequence[str]]) -> str:
    """HTML of a table of texts in the same form; the first column names the rows."""
    head = "".join(f"<th>{escape(name)}</th>" for name in headers)
    body = []
    for row in texts:
        cells = "".join(
            f'<td data-name="{escape(name)}">{escape(text)}</td>' for name, text in zip(headers, row, strict=True)
        )
        body.append(f"<tr>{cells}</tr>")
    return _cards(head, body)


def _cards(head: str, rows: Sequence[str]) -> str:
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="wide"><table class="cards">{body}</table></div>'


def picture(path: Path, caption: str) -> str:
    """HTML of an embedded picture, scaled down if it is large."""
    return f"<figure>{_image(path, caption)}<figcaption>{escape(caption)}</figcaption></figure>"


def pictures(captions: Mapping[str, Path]) -> str:
    """Pictures side by side, each with its caption."""
    return f'<div class="panels">{"".join(picture(path, caption) for caption, path in captions.items())}</div>'


def panels(paths: Sequence[Path], caption: str) -> str:
    """Pictures side by side, as many as fit the screen."""
    images = "".join(_image(path, f"{caption} {number}") for number, path in enumerate(paths, 1))
    return f'<figure><div class="panels">{images}</div><figcaption>{escape(caption)}</figcaption></figure>'


def _image(path: Path, description: str) -> str:
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE * 2))
    content = io.BytesIO()
    image.quantize(256, Image.Quantize.FASTOCTREE).save(content, "PNG", optimize=True)
    data = base64.b64encode(content.getvalue()).decode()
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img {size} alt="{escape(description)}" src="data:image/png;base64,{data}">'


def note(content: str) -> str:
    """A note."""
    return f'<p class="note">{escape(content)}</p>'


def text(content: str) -> str:
    """Plain text."""
    return f"<pre>{escape(content)}</pre>"


def listed(items: Sequence[str]) -> str:
    """A list."""
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The whole document."""
    body = "".join(f"<section><h2>{escape(part.title)}</h2>{part.body}</section>" for part in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f'<body><h1>{escape(title)}</h1><p class="note">{escape(subtitle)}</p>{body}</body></html>\n'
    )

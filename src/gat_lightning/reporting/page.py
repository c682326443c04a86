"""The HTML page of a report: one self-contained file for any screen width."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from gat_lightning.reporting.facts import Fact
from gat_lightning.reporting.summary import Cell, Summary
from gat_lightning.runs.telling import duration

_LARGEST_SIDE = 1100
_LONG_FACT = 40


@dataclass(frozen=True)
class Section:
    """Section of the page.

    Attributes:
        title: title of the section.
        body: HTML.
        anchor: what links to it name; empty without any.
    """

    title: str
    body: str
    anchor: str = ""


def facts(shared: Sequence[Fact], different: Sequence[Fact]) -> str:
    """The box of what runs have in common, and a line of what they do not."""
    items = "".join(
        f"<div{' class=long' if len(fact.name + fact.text) > _LONG_FACT else ''}>"
        f"<dt>{escape(fact.name)}</dt><dd>{escape(fact.text)}</dd></div>"
        for fact in shared
    )
    box = f'<dl class="facts">{items}</dl>'
    texts = "; ".join(f"{fact.name}: {fact.text}" for fact in different)
    return box + (note(f"Not the same for all runs: {texts}.") if different else "")


def results(summary: Summary, anchor: str, pinned: bool, warned: Mapping[str, int]) -> str:
    """HTML of the table of settings, which a click on a header sorts. A narrow screen has its two main columns.

    Args:
        summary: the table.
        anchor: of the section, for the names of its parts.
        pinned: whether the first row is the baseline, which stays the first.
        warned: number of warnings of settings, by label.
    """
    timed = any(each is not None for each in summary.seconds)
    alike = len({column.images for column in summary.columns}) == 1
    headers = ["<th>setting</th>", "<th>seeds</th>"]
    for column in summary.columns:
        images = "" if alike or column.images is None else f"<small>{column.images:,} images</small>"
        headers.append(f"<th{' class=key' if column.key else ''}>{escape(column.header)}{images}</th>")
    headers += ["<th>training<small>mean time</small></th>"] if timed else []
    rows = []
    for number, (label, seeds, cells, seconds) in enumerate(
        zip(summary.labels, summary.seeds, summary.cells, summary.seconds, strict=True), 1
    ):
        baseline = pinned and number == 1
        name = _setting(number, label, baseline, warned.get(label, 0), anchor)
        figures = "".join(_figure(cell, column.key) for cell, column in zip(cells, summary.columns, strict=True))
        time = "" if seconds is None else duration(seconds)
        cost = f'<td data-sort="{"" if seconds is None else f"{seconds:.1f}"}">{time}</td>' if timed else ""
        rows.append(f"<tr{' class=baseline' if baseline else ''}>{name}<td>{seeds}</td>{figures}{cost}</tr>")
    return (
        f'<input type="checkbox" class="every" id="every-{anchor}"><label for="every-{anchor}">all columns</label>'
        f'<div class="wide"><table class="results sortable"><thead><tr>{"".join(headers)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _setting(number: int, label: str, baseline: bool, warnings: int, anchor: str) -> str:
    more = " <small>baseline</small>" if baseline else ""
    if warnings:
        title = "1 warning" if warnings == 1 else f"{warnings} warnings"
        more += f' <a href="#{anchor}-warnings" title="{title}"><small>⚠ {warnings}</small></a>'
    return f'<td data-sort="{number}"><small>{number}</small> {escape(label)}{more}</td>'


def _figure(cell: Cell, key: bool) -> str:
    kinds = " ".join([*(["best"] if cell.best else []), *(["key"] if key else [])])
    parts = "".join(f"<small>{escape(text)}</small>" for text in (cell.range, cell.otherwise) if text)
    value = "" if cell.summary is None else f"{cell.summary.mean:.6g}"
    return f'<td class="{kinds}" data-sort="{value}">{escape(cell.text)}{parts}</td>'


def rows(headers: Sequence[str], texts: Sequence[Sequence[str]], words: Sequence[int] = ()) -> str:
    """HTML of a table of texts; the first column names the rows. On a narrow screen each row is a card.

    Args:
        headers: of the columns.
        texts: of the cells, row by row.
        words: positions of columns with sentences.
    """
    kinds = [' class="words"' if number in words else "" for number in range(len(headers))]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(headers, kinds, strict=True))
    body = []
    for row in texts:
        cells = "".join(
            f'<td{kind} data-name="{escape(name)}">{escape(text)}</td>'
            for name, text, kind in zip(headers, row, kinds, strict=True)
        )
        body.append(f"<tr>{cells}</tr>")
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="wide"><table class="cards">{table}</table></div>'


def heading(title: str, anchor: str = "") -> str:
    """Heading of a part of a section."""
    return f"<h3{f' id={chr(34)}{anchor}{chr(34)}' if anchor else ''}>{escape(title)}</h3>"


def panels(figures: Sequence[str]) -> str:
    """Figures side by side, as many as fit the screen."""
    return f'<div class="panels">{"".join(figures)}</div>' if figures else ""


def picture(path: Path, caption: str) -> str:
    """HTML of an embedded picture, scaled down if it is large."""
    return f"<figure>{_image(path, caption)}<figcaption>{escape(caption)}</figcaption></figure>"


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


def notes(contents: Sequence[str]) -> str:
    """Notes below a table, one a line."""
    return f'<div class="notes">{"".join(map(note, contents))}</div>'


def folded(title: str, body: str) -> str:
    """What a click on its title shows."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def listed(items: Sequence[str]) -> str:
    """A list."""
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def contents(sections: Sequence[Section]) -> str:
    """Links to the sections with an anchor, where there are several."""
    linked = [each for each in sections if each.anchor]
    items = "".join(f'<li><a href="#{each.anchor}">{escape(each.title)}</a></li>' for each in linked)
    return f"<nav><ul>{items}</ul></nav>" if len(linked) > 1 else ""


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The whole document."""
    style, script = ((Path(__file__).parent / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    body = "".join(
        f"<section{f' id={chr(34)}{part.anchor}{chr(34)}' if part.anchor else ''}>"
        f"<h2>{escape(part.title)}</h2>{part.body}</section>"
        for part in sections
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f'<body><h1>{escape(title)}</h1><p class="note">{escape(subtitle)}</p>'
        f"{contents(sections)}{body}<script>{script}</script></body></html>\n"
    )

"""Tables as HTML: W&B's own tables would contain a local path."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

_STYLE = "<style>table{border-collapse:collapse;font:14px sans-serif}td,th{padding:4px 8px;text-align:left}</style>"


def html_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Table of a report.

    Args:
        columns: names of the columns.
        rows: cells are text, numbers, or pictures: uint8 ``[H, W, 3]``.
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"{_STYLE}<table><tr>{head}</tr>{body}</table>"


def _cell(cell: Any) -> str:
    if isinstance(cell, np.ndarray):
        content = io.BytesIO()
        Image.fromarray(cell).save(content, "PNG", optimize=True)
        return f'<img src="data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}">'
    return f"{cell:.3f}" if isinstance(cell, float) else escape(str(cell))

"""The paper as experiments: published numbers, scales and costs."""

from gat_lightning.paper.published import Cell, Column, Published, Row, published, published_ids
from gat_lightning.paper.settings import SCALES, prepare_paper, register_resolvers

__all__ = [
    "SCALES",
    "Cell",
    "Column",
    "Published",
    "Row",
    "prepare_paper",
    "published",
    "published_ids",
    "register_resolvers",
]

"""The paper's tables: published numbers beside ours."""

from gat_lightning.reporting.paper.published import Cell, Column, Published, Row, published, published_ids

__all__ = ["Cell", "Column", "Published", "Row", "published", "published_ids"]

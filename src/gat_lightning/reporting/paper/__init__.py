"""The paper's tables: published and measured numbers side by side."""

from gat_lightning.reporting.paper.published import Cell, Column, Published, Row, published, published_ids

__all__ = ["Cell", "Column", "Published", "Row", "published", "published_ids"]

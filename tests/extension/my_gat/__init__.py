"""Parts of our own for gat_lightning."""

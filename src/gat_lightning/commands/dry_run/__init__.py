"""Dry run: what a run would cost."""

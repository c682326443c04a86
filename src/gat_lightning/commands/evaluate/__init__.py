"""Evaluate trained models, ours and others."""

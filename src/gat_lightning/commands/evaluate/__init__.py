"""Evaluation of trained models, ours and others."""

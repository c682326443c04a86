"""Figures of models, attacks and trainings."""

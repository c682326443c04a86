"""Pictures of models, attacks and trainings."""

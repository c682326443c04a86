"""Configuration: checks, messages, construction of a run's objects, and checkpoints."""

"""From a composed configuration to the objects of a run: checks, messages, construction, checkpoints."""

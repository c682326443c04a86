"""Train, test and record a run."""

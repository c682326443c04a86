"""Training: the LightningModule, its callbacks and schedules."""

"""Runs on disk: directory, files, signals and SLURM jobs."""

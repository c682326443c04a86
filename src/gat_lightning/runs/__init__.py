"""A run on disk: its directory, its files, its signals and its job."""

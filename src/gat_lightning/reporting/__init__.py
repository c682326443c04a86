"""Pictures and tables of runs, for the report, evaluations and loggers."""

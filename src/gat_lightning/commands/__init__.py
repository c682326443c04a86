"""The commands behind the entry points: ``train``, ``evaluate``, ``report``, ``compare``, ``export``, ``demo``."""

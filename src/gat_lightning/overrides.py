"""Overrides as they are typed on Hydra's command line."""


def setting_of(override: str) -> str:
    """The setting that an override changes, adds or takes away: ``optimizer.lr`` of ``++optimizer.lr=0.1``."""
    return override.partition("=")[0].lstrip("+~")

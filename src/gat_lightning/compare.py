"""Compare evaluations: ``python -m gat_lightning.compare runs=[RUN,RUN,...] [view=NAME]``."""

from omegaconf import DictConfig

from gat_lightning.config.command_line import command


def run(config: DictConfig) -> None:
    """Compare, with imports that wait until the configuration has been composed."""
    from gat_lightning.commands.compare import run

    run(config)


main = command("compare", run)

if __name__ == "__main__":
    main()

"""Train a model: ``python -m gat_lightning.train [GROUP=OPTION ...] [KEY=VALUE ...]``."""

from omegaconf import DictConfig

from gat_lightning.config.command_line import command


def run(config: DictConfig) -> None:
    """Train, with imports that wait until the configuration has been composed and checked."""
    from gat_lightning.commands.train.run import run

    run(config)


main = command("train", run)

if __name__ == "__main__":
    main()

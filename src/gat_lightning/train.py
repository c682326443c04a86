"""Train a model: ``python -m gat_lightning.train [GROUP=OPTION ...] [KEY=VALUE ...]``."""

from omegaconf import DictConfig

from gat_lightning.config.command_line import command


def _run(config: DictConfig) -> None:
    from gat_lightning.commands.train.run import run  # imports Lightning, which help and refusals need not

    run(config)


main = command("train", _run)

if __name__ == "__main__":
    main()

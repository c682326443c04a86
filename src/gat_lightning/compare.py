"""Compare evaluations: ``python -m gat_lightning.compare runs=[RUN,RUN,...] [view=NAME]``."""

from omegaconf import DictConfig

from gat_lightning.config.command_line import command


def _run(config: DictConfig) -> None:
    from gat_lightning.commands.compare import run  # imports Lightning, which help and refusals need not

    run(config)


main = command("compare", _run, output="output")

if __name__ == "__main__":
    main()

"""Report on runs: ``python -m gat_lightning.report runs=FOLDER [baseline=SETTING] [KEY=VALUE ...]``."""

import sys

from omegaconf import DictConfig

from gat_lightning.config.command_line import command


def _run(config: DictConfig) -> None:
    from gat_lightning.commands.report import run  # imports Lightning, which help and refusals need not

    run(config)


def main() -> None:
    """Run the command; ``baseline=task=none`` needs no quotes."""
    sys.argv[1:] = [quoted(argument) for argument in sys.argv[1:]]
    command("report", _run, output="output")()


def quoted(argument: str) -> str:
    """The argument with the value of ``baseline`` in quotes, so that Hydra takes its ``=`` as text."""
    name, _, value = argument.partition("=")
    return f"{name}='{value}'" if name == "baseline" and value[:1] not in ("'", '"') else argument


if __name__ == "__main__":
    main()

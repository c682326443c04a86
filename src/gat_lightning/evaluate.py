"""Evaluate a model: ``python -m gat_lightning.evaluate checkpoint=PATH evaluation=NAME [KEY=VALUE ...]``."""

import sys

from omegaconf import DictConfig

from gat_lightning.config.command_line import command


def _run(config: DictConfig) -> None:
    from gat_lightning.commands.evaluate.run import run  # imports Lightning, which help and refusals need not

    run(config)


def main() -> None:
    """Run the command; settings of ``model`` and ``data`` may be added without a ``+``."""
    sys.argv[1:] = [f"++{text}" if text.startswith(("model.", "data.")) else text for text in sys.argv[1:]]
    command("evaluate", _run)()


if __name__ == "__main__":
    main()

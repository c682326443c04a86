"""Evaluate models: ``python -m gat_lightning.evaluate checkpoint=PATH|runs=FOLDER evaluation=NAME [KEY=VALUE ...]``."""

from collections.abc import Sequence

from omegaconf import DictConfig

from gat_lightning.commands.evaluate.each_run import expanded
from gat_lightning.config.command_line import command
from gat_lightning.config.typed_words import readable


def _run(config: DictConfig) -> None:
    from gat_lightning.commands.evaluate.run import run  # imports Lightning, which help and refusals need not
    from gat_lightning.runs.ranks import end_with_parent

    end_with_parent()
    run(config)


def main() -> None:
    """Run the command."""
    command("evaluate", _run, as_hydra_reads)()


def as_hydra_reads(words: Sequence[str]) -> list[str]:
    """The command line; settings of ``model`` and ``data`` may be added without a ``+``, and ``runs`` is a sweep."""
    added = [f"++{word}" if word.startswith(("model.", "data.")) else word for word in words]
    return expanded(readable(added))


if __name__ == "__main__":
    main()

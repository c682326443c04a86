"""Demo: three models side by side on bundled data, ``python -m gat_lightning.demo [KEY=VALUE ...]``."""

import argparse
from pathlib import Path

_DESCRIPTION = """\
Trains three models on the bundled digits: undefended, with adversarial training, and with GAT.
Prints their accuracies and draws what they answer to attacked images. This takes about 2.5 minutes
on two CPU cores. Nothing is downloaded.
"""
_EXAMPLES = """\
examples:
  python -m gat_lightning.demo
  python -m gat_lightning.demo trainer.max_epochs=1 output=outputs/short_demo
"""


def main() -> None:
    """Run the demo with the command line's settings."""
    parser = argparse.ArgumentParser(
        prog="python -m gat_lightning.demo",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="KEY=VALUE",
        help="a setting of all three trainings, see python -m gat_lightning.train --help; output=FOLDER or"
        " paths.output=FOLDER: where the runs and demo.png go (default: outputs/demo)",
    )
    typed = parser.parse_args().settings
    from gat_lightning.commands.demo import run  # imports Lightning, which the help text needs not
    from gat_lightning.config.command_line import message_alone
    from gat_lightning.config.typed_words import with_output

    words = with_output(typed, "output")
    folders = [Path(word.partition("=")[2]) for word in words if word.startswith("output=")]
    with message_alone():
        run([word for word in words if not word.startswith("output=")], *folders[-1:])


if __name__ == "__main__":
    main()

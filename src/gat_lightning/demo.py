"""Demo: three models side by side on bundled data, ``python -m gat_lightning.demo [KEY=VALUE ...]``."""

import argparse


def main() -> None:
    """Run the demo with the command line's settings."""
    parser = argparse.ArgumentParser(
        prog="python -m gat_lightning.demo",
        description="Train an undefended model, single-task adversarial training and GAT on bundled data (minutes on a"
        " CPU), print a table of their accuracies, and draw adversarial images into outputs/demo/demo.png.",
    )
    parser.add_argument(
        "settings", nargs="*", metavar="KEY=VALUE", help="for all three trainings, such as trainer.max_epochs=1"
    )
    settings = parser.parse_args().settings
    from gat_lightning.commands.demo import run  # imports Lightning, which the help text needs not

    run(settings)


if __name__ == "__main__":
    main()

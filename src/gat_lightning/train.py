"""Train a model: ``python -m gat_lightning.train [GROUP=OPTION ...] [KEY=VALUE ...]``."""

from gat_lightning.commands.train.run import main

if __name__ == "__main__":
    main()

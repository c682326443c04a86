"""Report on runs: ``python -m gat_lightning.report runs=FOLDER [baseline=SETTING] [KEY=VALUE ...]``."""

from gat_lightning.commands.report import main

if __name__ == "__main__":
    main()

"""Statistics of a data set: ``python -m gat_lightning.data statistics data=NAME [data.KEY=VALUE ...]``."""

from gat_lightning.commands.statistics import main

if __name__ == "__main__":
    main()

"""Compare evaluations: ``python -m gat_lightning.compare runs=[RUN,RUN,...] [view=NAME]``."""

from gat_lightning.commands.compare import main

if __name__ == "__main__":
    main()

"""Evaluate a model: ``python -m gat_lightning.evaluate checkpoint=PATH evaluation=NAME [KEY=VALUE ...]``."""

from gat_lightning.commands.evaluate.run import main

if __name__ == "__main__":
    main()

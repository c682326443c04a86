"""Three models side by side on bundled data: ``python -m gat_lightning.demo [KEY=VALUE ...]``."""

from gat_lightning.commands.demo import main

if __name__ == "__main__":
    main()

"""Export a classifier: ``python -m gat_lightning.export checkpoint=PATH format=safetensors|torchscript|onnx``."""

from omegaconf import DictConfig

from gat_lightning.config.command_line import command


def run(config: DictConfig) -> None:
    """Export, with imports that wait until the configuration has been composed."""
    from gat_lightning.commands.export import run

    run(config)


main = command("export", run)

if __name__ == "__main__":
    main()

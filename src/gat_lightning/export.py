"""Export a classifier: ``python -m gat_lightning.export checkpoint=PATH format=safetensors|torchscript|onnx``."""

from omegaconf import DictConfig

from gat_lightning.config.command_line import command


def _run(config: DictConfig) -> None:
    from gat_lightning.commands.export import run  # imports Lightning, which help and refusals need not

    run(config)


main = command("export", _run, output="output")

if __name__ == "__main__":
    main()

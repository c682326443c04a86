"""Export a classifier: ``python -m gat_lightning.export checkpoint=PATH format=safetensors|torchscript|onnx``."""

from gat_lightning.commands.export import main

if __name__ == "__main__":
    main()

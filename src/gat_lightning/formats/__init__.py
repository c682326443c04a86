"""Files that hold one classifier, without auxiliary heads."""

from gat_lightning.formats.base import Description, Format
from gat_lightning.formats.onnx import ONNX
from gat_lightning.formats.safetensors import Safetensors
from gat_lightning.formats.torchscript import TorchScript

__all__ = ["ONNX", "Description", "Format", "Safetensors", "TorchScript"]

"""ONNX: architecture, weights and normalisation in one file for any runtime."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from gat_lightning.errors import UserError, one_line
from gat_lightning.formats.base import Description, Format, in_single_precision
from gat_lightning.models.weights import METADATA_KEY

_MISSING = "format=onnx needs an extra: pip install 'gat-lightning[export]'"


class _Called(nn.Module):
    """Module that calls the classifier, so that the classifier's hooks become part of the graph."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(images)


class ONNX(Format):
    """ONNX graph in float32 with input ``images`` and output ``logits``, both with a dynamic first dimension."""

    suffix = ".onnx"
    tolerance = 1e-4

    def write(self, classifier: nn.Module, description: Description, path: Path) -> None:
        """Export the graph and its weights."""
        try:
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise UserError(_MISSING) from error
        batch = torch.export.Dim("batch", min=1)
        with warnings.catch_warnings(), torch.no_grad(), _quiet():
            warnings.simplefilter("ignore")
            try:
                program = torch.onnx.export(
                    _Called(in_single_precision(classifier)).eval(),
                    (torch.rand(2, *description.image),),
                    dynamo=True,
                    verbose=False,
                    input_names=["images"],
                    output_names=["logits"],
                    dynamic_shapes={"images": {0: batch}},
                )
            except Exception as error:  # of many kinds
                reason = one_line(error)
                raise UserError(f"format=onnx: {type(classifier).__name__} cannot be exported: {reason}") from error
        assert program is not None
        program.model.metadata_props[METADATA_KEY] = description.to_json()
        program.save(str(path), external_data=False)

    def read(self, path: Path) -> Callable[[Tensor], Tensor]:
        """Open a session of onnxruntime."""
        try:
            import onnxruntime  # type: ignore[import-untyped]
        except ImportError as error:
            raise UserError(_MISSING) from error
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

        def logits(images: Tensor) -> Tensor:
            (found,) = session.run(["logits"], {"images": images.numpy()})
            return torch.from_numpy(found)

        return logits

    def usage(self, path: Path, description: Description) -> str:
        """Code that uses onnxruntime."""
        images = f"numpy.random.rand(8, {', '.join(map(str, description.image))}).astype('float32')"
        return (
            f"import numpy, onnxruntime\n"
            f"session = onnxruntime.InferenceSession({str(path)!r})\n"
            f"images = {images}  # in [0, 1]\n"
            f"(logits,) = session.run(None, {{'images': images}})"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's progress messages."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

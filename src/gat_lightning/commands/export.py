"""Export a classifier: ``python -m gat_lightning.export checkpoint=PATH format=safetensors|torchscript|onnx``."""

from collections.abc import Callable
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor, nn

from gat_lightning.config.checkpoint import load_described
from gat_lightning.errors import UserError
from gat_lightning.files import atomic_write
from gat_lightning.formats import Description, Format
from gat_lightning.runs.layout import RunDirectory

_BATCHES = (7, 1)


def run(config: DictConfig) -> Path:
    """Write the target's classifier of ``config.checkpoint`` into one file, and read it again to see that it is right.

    Returns:
        The file.

    Raises:
        UserError: no checkpoint is given or it cannot be read, the file is there already, a package is missing, or what
            was written does not give the classifier's logits; then there is no file.
    """
    if config.checkpoint is None:
        raise UserError("Say what to export: checkpoint=RUN/checkpoints/best.ckpt.")
    chosen: Format = instantiate(config.format)
    path = Path(config.output) if config.output is not None else default_output(Path(config.checkpoint), chosen)
    if path.suffix != chosen.suffix:
        raise UserError(f"output={path}: the name of such a file ends in {chosen.suffix}.")
    if path.exists():
        raise UserError(f"'{path}' is there already: remove it, or choose another name with output=FILE.")
    classifier, description = load_described(config.checkpoint)
    with atomic_write(path) as temporary:
        chosen.write(classifier, description, temporary)
        difference = check_same(classifier, chosen.read(temporary), description, chosen.tolerance)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    size = path.stat().st_size / 2**20
    console.print(f"{path}: {size:.2f} MiB; logits differ from the checkpoint's by {difference:.1e} at most.")
    console.print(f"\n{chosen.usage(path, description)}")
    return path


def default_output(checkpoint: Path, chosen: Format) -> Path:
    """``RUN/export/NAME`` of ``RUN/checkpoints/NAME.ckpt``; beside any other checkpoint."""
    run = RunDirectory.of_checkpoint(checkpoint) or RunDirectory(checkpoint.parent)
    return run.path / "export" / f"{checkpoint.stem}{chosen.suffix}"


def check_same(
    classifier: nn.Module, exported: Callable[[Tensor], Tensor], description: Description, tolerance: float
) -> float:
    """Compare logits on noise, black and white images, in batches of several sizes.

    Returns:
        The largest difference.

    Raises:
        UserError: it is above the tolerance, or the exported classifier does not take such a batch.
    """
    generator, largest = torch.Generator().manual_seed(0), 0.0
    for size in _BATCHES:
        images = torch.rand(size, *description.image, generator=generator)
        images[1:3] = torch.tensor([0.0, 1.0])[: len(images[1:3])].view(-1, 1, 1, 1)
        with torch.no_grad():
            expected = classifier(images)
            try:
                found = exported(images)
            except Exception as error:  # of a runtime's own kinds
                reason = " ".join(str(error).split())[:300]
                raise UserError(f"The exported classifier fails on a batch of {size}: {reason}") from error
        allowed = tolerance * max(1.0, expected.abs().max().item())
        difference = (found - expected).abs().max().item() if found.shape == expected.shape else float("inf")
        if not difference <= allowed:
            raise UserError(
                f"The exported classifier differs by {difference:.1e} (allowed: {allowed:.0e}) on a batch of {size}:"
                " its architecture cannot be exported this way; try another format."
            )
        largest = max(largest, difference)
    return largest

"""Export a classifier: ``python -m gat_lightning.export checkpoint=PATH format=safetensors|torchscript|onnx``."""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor, nn

from gat_lightning.config.checkpoint import load_described
from gat_lightning.errors import UserError, one_line
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
    shape = " x ".join(map(str, description.image))
    console.print(
        f"{path}: {size:.2f} MiB, for images of {shape}; logits differ from the checkpoint's by {difference:.1e} at"
        " most."
    )
    console.print(f"\n{chosen.usage(path, description)}")
    return path


def default_output(checkpoint: Path, chosen: Format) -> Path:
    """``RUN/export/NAME`` of ``RUN/checkpoints/NAME.ckpt``; beside any other checkpoint."""
    run = RunDirectory.of_checkpoint(checkpoint) or RunDirectory(checkpoint.parent)
    return run.path / "export" / f"{checkpoint.stem}{chosen.suffix}"


def check_same(
    classifier: nn.Module, exported: Callable[[Tensor], Tensor], description: Description, tolerance: float
) -> float:
    """Compare logits on noise, dark, bright, black and white images, in batches of several sizes.

    A branch of the classifier's code that depends on pixels or on the size of the batch is fixed in a traced file, and
    shows as a difference on one of these batches.

    Returns:
        The largest difference.

    Raises:
        UserError: it is above the tolerance, the exported classifier does not take such a batch, or the classifier's
            own logits are not finite.
    """
    largest = 0.0
    for kind, images in _probes(description.image):
        batch = f"a batch of {len(images)} ({kind})"
        with torch.no_grad():
            expected = classifier(images)
            try:
                found = exported(images)
            except Exception as error:  # of a runtime's own kinds
                reason = one_line(error)
                raise UserError(f"The exported classifier fails on {batch}: {reason}") from error
        if not expected.isfinite().all():
            raise UserError(f"The checkpoint's classifier gives logits that are not finite on {batch}: export another.")
        allowed = tolerance * max(1.0, expected.abs().max().item())
        difference = (found - expected).abs().max().item() if found.shape == expected.shape else float("inf")
        if not difference <= allowed:
            raise UserError(
                f"The exported classifier differs by {difference:.1e} (allowed: {allowed:.0e}) on {batch}: its"
                " architecture cannot be exported this way; try another format."
            )
        largest = max(largest, difference)
    return largest


def _probes(image: tuple[int, int, int]) -> Iterator[tuple[str, Tensor]]:
    """Batches ``[B, C, H, W]`` in [0, 1] with their names."""
    generator = torch.Generator().manual_seed(0)
    for size in _BATCHES:
        noise = torch.rand(size, *image, generator=generator)
        yield "noise", noise
        yield "dark images", noise / 10
        yield "bright images", 1 - noise / 10
        yield "black images", torch.zeros_like(noise)
        yield "white images", torch.ones_like(noise)
        brightness = torch.linspace(0, 1, size).view(-1, 1, 1, 1)
        yield "from black to white", (noise / 10 + brightness).clamp(0, 1)

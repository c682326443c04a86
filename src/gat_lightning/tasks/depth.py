"""Depth estimation."""

import copy
import os
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gat_lightning.batch import unit_range
from gat_lightning.errors import SettingError
from gat_lightning.info import DataInfo
from gat_lightning.tasks.dense import DenseTask

_MIDAS_SIDE, _MIDAS_MULTIPLE = 256, 32
_MIDAS_MEAN, _MIDAS_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Depth(DenseTask):
    """Depth estimation (paper, Table 5): the label is what a teacher makes of the clean image, ``[B, 1, H, W]``.

    Each map is resized to the image and then shifted and scaled to [0, 1]: its smallest value becomes 0 and its largest
    1, or all 0 where they are equal. Relative depth has no unit, and no more than this can be learned from it; whether
    1 is near or far is the teacher's affair (MiDaS: near). A map with a value that is not finite is missing.

    The teacher runs in eval mode and full precision, without gradients, on the device of the images. It is no part of
    the model: its parameters are not trained, not saved, and not in any checkpoint.

    Args:
        teacher: a path: a TorchScript file; it can run any operation of torch, but no Python. A mapping with
            ``_target_``: the module that Hydra makes of it. Or a module, which is copied. They get images
            ``[B, C, H, W]`` in [0, 1] as they are and return ``[B, h, w]`` or ``[B, 1, h, w]``. None: there is no
            teacher, the data set has the label ``depth``, such as ``data=arrays`` with ``train_depth``:
            ``[B, 1, H, W]`` of the images' size, NaN where it is unknown.

    Nothing is downloaded: :class:`MiDaS` makes a file of the authors' teacher, MiDaS v2.1 small (Ranftl et al., TPAMI
    2022). The teacher is loaded before training, or when the first label is made; evaluations that make none need none.
    """

    name = "depth"

    def __init__(self, teacher: str | Mapping[str, Any] | nn.Module | None = None) -> None:
        self.teacher = teacher
        self._loaded: nn.Module | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the loaded teacher, which another process loads itself: TorchScript cannot be pickled."""
        return {**self.__dict__, "_loaded": None}

    def setup(self, data: DataInfo) -> None:
        """Learn the image's size.

        Raises:
            ValueError: there is no teacher and no label.
        """
        _, height, width = data.image
        if self.teacher is None and self.name not in data.labels:
            raise SettingError(
                "teacher",
                None,
                f"a TorchScript file, since '{data.name}' has no label 'depth', only {', '.join(sorted(data.labels))}"
                " (SECURITY.md says how to make such a file of MiDaS). Or put train_depth and test_depth into the file"
                " of Arrays",
            )
        self._image = data.image
        self.shape = (1, height, width)

    @property
    def labels_read(self) -> Collection[str]:
        """The data's maps, or nothing with a teacher."""
        return (self.name,) if self.teacher is None else ()

    def wanted(self, images: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """Depth maps in [0, 1].

        Raises:
            ValueError: the teacher cannot be loaded or cannot process the images, or there are no maps of these images.
        """
        if self.teacher is not None:
            depth = self._judge(images)
            return unit_range(F.interpolate(depth, self.shape[1:], mode="bilinear", align_corners=False))
        depth = labels[self.name]
        if depth.shape[1:] != self.shape:
            raise ValueError(
                f"The label 'depth' must be [B, 1, H, W] in the size of the images, not {list(depth.shape)}"
            )
        return unit_range(depth)

    def begin(self) -> None:
        """Load the teacher and try it on blank images.

        Raises:
            ValueError: it cannot be loaded or cannot process such images.
        """
        if self.teacher is not None:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                self._judge(torch.zeros(2, *self._image))

    def load_teacher(self) -> nn.Module | None:
        """The teacher in eval mode, None where there is none; it is loaded once.

        Weights that a module draws for itself are the same in every run, and no other random number changes.

        Raises:
            SettingError: it cannot be loaded; says why, and what to do.
        """
        if self._loaded is None and self.teacher is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                self._loaded = _load(self.teacher).eval()
        return self._loaded

    def _judge(self, images: Tensor) -> Tensor:
        """The teacher's maps ``[B, 1, h, w]``."""
        teacher = self.load_teacher()
        assert teacher is not None
        try:
            depth = teacher.to(images.device)(images)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ValueError(
                f"The teacher cannot process images of shape {list(images.shape)}: {_first_line(error)}"
            ) from error
        found = list(depth.shape) if isinstance(depth, Tensor) else type(depth).__name__
        if not isinstance(depth, Tensor) or depth.dim() not in (3, 4) or len(depth) != len(images):
            raise ValueError(f"The teacher must return [B, h, w] or [B, 1, h, w], and returned {found}")
        depth = depth.unsqueeze(1) if depth.dim() == 3 else depth
        if depth.shape[1] != 1:
            raise ValueError(f"The teacher must return maps of one channel, and returned {found}")
        return depth.to(images.dtype)


class MiDaS(nn.Module):
    """MiDaS small with images prepared as it was trained to see them: the longer side 256, sides divisible by 32.

    Its code and weights are published without sums to check them by, so this program fetches neither. SECURITY.md says
    how whoever trusts them makes a file of this module for ``task.depth.teacher``.

    Args:
        network: takes normalised colour images.

    Shape:
        images ``[B, C, H, W]`` in [0, 1] with 1 or 3 channels -> inverse relative depth ``[B, h, w]``.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(_MIDAS_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(_MIDAS_STD).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Resize, normalise and apply the network."""
        sides = [int(side) for side in images.shape[2:]]  # constants of a trace
        scale = _MIDAS_SIDE / max(sides) / _MIDAS_MULTIPLE
        size = [max(1, round(side * scale)) * _MIDAS_MULTIPLE for side in sides]
        images = F.interpolate(images, size, mode="bicubic", align_corners=False).clamp(0, 1)
        return self.network((images - self.mean) / self.std)


def _load(teacher: str | Mapping[str, Any] | nn.Module) -> nn.Module:
    if isinstance(teacher, nn.Module):
        return copy.deepcopy(teacher)
    if isinstance(teacher, Mapping):
        from hydra.utils import instantiate

        made = instantiate(teacher)
        if not isinstance(made, nn.Module):
            raise SettingError(
                "teacher", dict(teacher), f"a torch.nn.Module, and _target_ made a {type(made).__name__}"
            )
        return made
    return _script(Path(teacher).expanduser())


def _script(path: Path) -> nn.Module:
    if not path.is_file():
        raise SettingError("teacher", str(path.absolute()), "a file that exists")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`torch.jit.load` is")  # of a category that depends on torch's version
            return torch.jit.load(os.fspath(path), map_location="cpu")
    except RuntimeError as error:
        raise SettingError(
            "teacher",
            str(path),
            "a TorchScript file. Pickled modules and weights are not read, since a pickle can run any code: export the"
            " module with torch.jit.trace(module.eval(), images).save(FILE)",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no message").splitlines()[0]

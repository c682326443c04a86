"""Data set of whole batches: images and labels of a split."""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from gat_lightning.batch import Batch, missing_value
from gat_lightning.data.pictures import decode_pictures
from gat_lightning.data.sampler import Request
from gat_lightning.data.stored import StoredBatch
from gat_lightning.distributed import to_device
from gat_lightning.errors import UserError
from gat_lightning.randomness import Shard

log = logging.getLogger(__name__)

# Images whose contents are read at a time.
_READ = 1024

# Enough of a file for different pictures to differ, beyond the header of most.
_BEGINNING = 2**12


class SplitDataset(Dataset[Batch], ABC):
    """The images and labels of one split.

    Args:
        labels: ``{name: tensor [n, ...]}`` of the split's n samples, on the device of the batches.
        rows: positions of the split's samples in a store that several splits share, long ``[n]``, on that device.
    """

    def __init__(self, labels: Mapping[str, Tensor], rows: Tensor) -> None:
        self.labels, self.rows = dict(labels), rows

    def __len__(self) -> int:
        return len(self.rows)

    @abstractmethod
    def pixels(self, rows: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """Images uint8 ``[B, C, H, W]`` of these rows of the store; may mark ``labels`` of the batch as missing."""

    def contents(self, positions: Tensor) -> Iterator[bytes]:
        """What tells the images at these positions of the split from others.

        Args:
            positions: long ``[n]``, on the CPU.

        Returns:
            Name, size and beginning of each file, or pixels where files are not known.
        """
        paths = [self.path_of(position) for position in positions.tolist()]
        known = [path for path in paths if path is not None]
        if len(known) == len(paths):
            yield from map(_of_file, known)
            return
        for part in positions.split(_READ):
            yield self.pixels(self.rows[part.to(self.rows.device)], {}).cpu().contiguous().numpy().tobytes()

    def path_of(self, position: int) -> str | None:
        """The file of the picture at a position of the split; None if it is not known."""
        return None

    def name_of(self, position: int) -> str:
        """What messages call the image at a position of the split."""
        path = self.path_of(position)
        return f"image {position}" if path is None else repr(path)

    def stored(self, request: Request | list[int], names: Collection[str] | None = None) -> StoredBatch:
        """Return the samples at these positions of the split as they are stored, on the labels' device.

        Args:
            request: positions with their part of the joined batch, or the positions of a whole batch.
            names: of the labels that are wanted; all if None.
        """
        if isinstance(request, list):
            request = Request(request, Shard.whole(len(request)))
        positions, shard, visits = request
        index = to_device(torch.tensor(positions, dtype=torch.long), self.rows.device)
        labels = {name: label[index] for name, label in self.labels.items() if names is None or name in names}
        before = torch.tensor(visits) if any(visits) else None
        return StoredBatch(self.pixels(self.rows[index], labels), labels, index, shard, before)

    def __getitems__(self, request: Request | list[int]) -> Batch:
        """Return the samples at these positions of the split as one batch, on the labels' device.

        Args:
            request: positions with their part of the joined batch, or the positions of a whole batch.

        Returns:
            Images float32 in [0, 1], contiguous, with all labels.
        """
        return self.stored(request).batch()

    def __getitem__(self, position: int) -> Batch:
        """Return a batch with one sample."""
        return self.__getitems__([position])


class ArrayDataset(SplitDataset):
    """Split of an array of images, which several splits may share.

    Args:
        images: uint8 ``[N, C, H, W]`` in any memory layout, on any device; may be mapped from a file.
        labels: ``{name: tensor [N, ...]}``.
        rows: positions of the split's images, long ``[n]``.
        paths: of the N files that the images were decoded from; None if they are not known.
    """

    def __init__(
        self, images: Tensor, labels: Mapping[str, Tensor], rows: Tensor, paths: Sequence[str] | None = None
    ) -> None:
        self.images, self._paths = images, paths
        rows = rows.to(images.device)
        super().__init__({name: label.to(images.device)[rows] for name, label in labels.items()}, rows)

    def path_of(self, position: int) -> str | None:
        """The file that an image was decoded from, if it is known."""
        return None if self._paths is None else self._paths[int(self.rows[position])]

    def pixels(self, rows: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """A copy of these images."""
        return self.images[rows]


class JoinedDataset(SplitDataset):
    """The samples of one split, followed by those of another.

    Args:
        first: the split whose device is that of the batches.
        second: images of the same shape.
        labels: of the second's n samples, ``{name: tensor [n, ...]}``, with the names of the first's.
    """

    def __init__(self, first: SplitDataset, second: SplitDataset, labels: Mapping[str, Tensor]) -> None:
        self.first, self.second = first, second
        device = first.rows.device
        super().__init__(
            {name: torch.cat([label, labels[name].to(device)]) for name, label in first.labels.items()},
            torch.arange(len(first) + len(second), device=device),
        )

    def contents(self, positions: Tensor) -> Iterator[bytes]:
        """Those of both splits."""
        beyond = positions >= len(self.first)
        yield from self.first.contents(positions[~beyond])
        yield from self.second.contents(positions[beyond] - len(self.first))

    def pixels(self, rows: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """Those of both splits, on the first one's device."""
        positions = rows.cpu()  # how many are of which split decides on shapes
        beyond = positions >= len(self.first)
        found, places = [], []
        for split, start, part in ((self.first, 0, ~beyond), (self.second, len(self.first), beyond)):
            wanted = split.rows[to_device(positions[part] - start, split.rows.device)]
            here = to_device(part.nonzero().flatten(), rows.device)
            marked = {name: label[here] for name, label in labels.items()}
            found.append(split.pixels(wanted, marked).to(rows.device))
            places.append(here)
            for name, label in marked.items():
                labels[name][here] = label
        return torch.cat(found)[torch.cat(places).argsort()]


class FileDataset(SplitDataset):
    """Split of a list of picture files, which are decoded by the process that loads a batch.

    Args:
        paths: paths of the N files.
        size: height and width of the images in pixels.
        channels: 1 or 3.
        labels: ``{name: tensor [N, ...]}``.
        rows: positions of the split's files, long ``[n]``.
        skip: treatment of files that cannot be decoded although they looked sound: if True, a black image without
            labels and a warning; if False (default), an error.
    """

    def __init__(
        self,
        paths: Sequence[str],
        size: tuple[int, int],
        channels: int,
        labels: Mapping[str, Tensor],
        rows: Tensor,
        skip: bool = False,
    ) -> None:
        super().__init__({name: label[rows] for name, label in labels.items()}, rows)
        self.paths, self.size, self.channels, self.skip = paths, size, channels, skip
        self._named: set[str] = set()

    def path_of(self, position: int) -> str:
        """The file of the picture at a position of the split."""
        return self.paths[int(self.rows[position])]

    def pixels(self, rows: Tensor, labels: dict[str, Tensor]) -> Tensor:
        """Decode the files of these rows.

        Raises:
            UserError: a file cannot be decoded, and ``skip`` is False.
        """
        paths = [self.paths[row] for row in rows.tolist()]
        pictures, unreadable = decode_pictures(paths, self.size, self.channels)
        if unreadable:
            self._lost({paths[position]: reason for position, reason in unreadable.items()})
            lost = torch.tensor(list(unreadable))
            pictures[lost] = 0
            for label in labels.values():
                label[lost] = missing_value(label)
        return pictures

    def _lost(self, reasons: Mapping[str, str]) -> None:
        named = ", ".join(f"{os.fspath(path)!r} ({reason})" for path, reason in reasons.items())
        if not self.skip:
            raise UserError(
                f"A picture cannot be read, though its beginning and its end are sound: {named}; mend or delete it, or"
                " set data.on_error=skip, or data.cache=FOLDER, which finds all of them at once"
            )
        if reasons.keys() - self._named:
            log.warning("Left out, as it cannot be read: %s", named)
            self._named |= reasons.keys()


def _of_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            found = f"{os.path.basename(path)} {os.fstat(file.fileno()).st_size} ".encode() + file.read(_BEGINNING)
    except OSError as error:
        found = str(error.errno).encode()
    return found + b"\n"


def home_of(bytes_needed: int, device: torch.device, workers: int) -> torch.device:
    """Device for an array: the GPU if the main process loads and the array fits into a quarter of the free memory."""
    if workers or device.type != "cuda":
        return torch.device("cpu")
    free, _ = torch.cuda.mem_get_info(device)
    return device if bytes_needed <= free // 4 else torch.device("cpu")

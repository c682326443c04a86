"""Weights from the Hugging Face Hub, whose sum is checked before anything reads them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from gat_lightning.errors import UserError

_FILE = "model.safetensors"
_BLOCK = 2**20


def checked_weights(repository: str) -> Path:
    """The weights of a repository, downloaded where the Hub's cache on this machine does not have them.

    The Hub's client itself compares no more than the length of a file.

    Args:
        repository: such as ``timm/resnet50.a1_in1k``.

    Returns:
        A file of safetensors.

    Raises:
        UserError: its SHA-256 sum is not the one that the Hub gives.
        Exception: whatever the client raises where the file cannot be had.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    path = Path(hf_hub_download(repository, _FILE))
    said = path.resolve().name  # in the cache, files have their sums as names, and links lead there
    if not re.fullmatch("[0-9a-f]{64}", said):  # a file system without links
        said = str(get_hf_file_metadata(hf_hub_url(repository, _FILE)).etag)
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    if found.hexdigest() != said:
        raise UserError(
            f"{path.resolve()} has the SHA-256 sum {found.hexdigest()}, not {said}; delete it and try again"
        )
    return path

import pytest
import torch

from gat_lightning.training.callbacks.peak_memory import peak_memory

resource = pytest.importorskip("resource", reason="Windows does not tell")


@pytest.mark.slow
def test_the_peak_grows_with_what_was_held_and_does_not_fall():
    before = peak_memory(torch.device("cpu"))
    held = torch.ones(before // 4 + 50_000_000)
    assert peak_memory(torch.device("cpu")) > before
    after = peak_memory(torch.device("cpu"))
    del held
    assert peak_memory(torch.device("cpu")) > after - 2**20  # the kernel counts pages in batches

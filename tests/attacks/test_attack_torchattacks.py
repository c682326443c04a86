"""Equal to torchattacks, pixel by pixel, where both have the attack and start at the image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchattacks
from torch import Tensor, nn

from gat_lightning.attacks import BIM, FGSM, MIM, PGD, ClassifierProblem

ModelMaker = Callable[..., nn.Module]

EPS, STEP = 8 / 255, 2 / 255

PAIRS = {
    "fgsm": (FGSM(eps=EPS), lambda model: torchattacks.FGSM(model, EPS)),
    "bim": (BIM(eps=EPS, step_size=STEP, steps=10), lambda model: torchattacks.BIM(model, EPS, STEP, 10)),
    "pgd": (
        PGD(eps=EPS, step_size=STEP, steps=10, random_start="none"),
        lambda model: torchattacks.PGD(model, EPS, STEP, 10, False),
    ),
    "pgd-l2": (
        PGD(norm="L2", eps=1.0, step_size=0.2, random_start="none"),
        lambda model: torchattacks.PGDL2(model, 1.0, 0.2, 10, False),
    ),
    "mim": (MIM(eps=EPS, step_size=STEP, steps=10), lambda model: torchattacks.MIFGSM(model, EPS, STEP, 10, 1.0)),
    "mim-half": (
        MIM(eps=EPS, step_size=STEP, steps=10, decay=0.5),
        lambda model: torchattacks.MIFGSM(model, EPS, STEP, 10, 0.5),
    ),
}


@pytest.mark.parametrize("pair", list(PAIRS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_torchattacks(
    plain_model: ModelMaker, pair: str, dtype: torch.dtype, images: Tensor, labels: Tensor
) -> None:
    ours, theirs = PAIRS[pair]
    model, images = plain_model(dtype), images.to(dtype)
    expected = theirs(model)(images, labels)
    actual = ours(ClassifierProblem(model, labels), images)
    assert not torch.equal(expected, images)
    exact = pair in ("fgsm", "pgd", "mim", "mim-half")
    torch.testing.assert_close(actual, expected, rtol=0, atol=0 if exact else 1e-6)

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import avg_pool2d

from gat_lightning.info import DataInfo
from gat_lightning.models import (
    Features,
    MultiTaskModel,
    UNetDecoder,
    preact_resnet18,
    preact_resnet50,
    preact_resnet_small,
)
from gat_lightning.tasks import Autoencoder

sides = st.integers(1, 13)


@st.composite
def stage_shapes(draw):
    """Stages from fine to coarse, of any sizes, also repeated ones."""
    heights = sorted(draw(st.lists(sides, min_size=1, max_size=4)), reverse=True)
    widths = sorted(draw(st.lists(sides, min_size=len(heights), max_size=len(heights))), reverse=True)
    return [(draw(st.integers(1, 40)), height, width) for height, width in zip(heights, widths, strict=True)]


@settings(max_examples=40)
@given(stages=stage_shapes(), output=st.tuples(st.integers(1, 5), st.integers(1, 29), st.integers(1, 29)))
def test_stages_of_any_shape_give_the_output_and_all_of_every_stage_is_used(stages, output):
    decoder = UNetDecoder(stages, output).eval()
    for parameter in decoder.parameters():
        torch.nn.init.constant_(parameter, 0.01)  # so that no ReLU is off
    maps = tuple(torch.rand(2, *stage).add(0.1).requires_grad_() for stage in stages)
    decoded = decoder(Features(torch.empty(2, 0), maps))
    assert decoded.shape == (2, *output)
    for gradient in torch.autograd.grad(decoded.sum(), maps):
        assert (gradient > 0).all()


@pytest.mark.parametrize(("before", "after"), [((9, 6), (3, 2)), ((7, 5), (3, 5)), ((8, 8), (7, 7)), ((5, 9), (4, 3))])
def test_maps_that_shrink_are_averaged_over_area(before, after):
    resize = UNetDecoder([(2, *before)], (1, *after)).double().skips[0][2]
    x = torch.rand(3, 2, *before, dtype=torch.float64)
    finer = x.repeat_interleave(after[0], 2).repeat_interleave(after[1], 3)  # every new pixel is a block of it
    torch.testing.assert_close(resize(x), avg_pool2d(finer, before))


@pytest.mark.parametrize(
    ("make", "image"),
    [
        (preact_resnet_small, (1, 8, 8)),
        (preact_resnet_small, (3, 33, 29)),
        (preact_resnet18, (3, 32, 32)),
        (preact_resnet50, (1, 96, 80)),
    ],
)
def test_our_encoders_get_decoders_of_the_images_size_that_are_small_beside_them(make, image):
    task = Autoencoder()
    mean = std = [0.5] * image[0]
    task.setup(DataInfo("toy", image, mean, std))
    classifier = make(num_classes=4, image=image, mean=mean, std=std)
    model = MultiTaskModel(classifier, "class", image, [task])
    assert model(torch.rand(2, *image))["autoencoder"].shape == (2, *image)
    sizes = [
        sum(parameter.numel() for parameter in parameters)
        for parameters in (model.decoder_parameters(task.name), model.shared_parameters())
    ]
    assert sizes[0] < 0.25 * sizes[1]
    assert model.single_task().state_dict().keys() == classifier.state_dict().keys()


def test_decoder_is_differentiable_twice():
    torch.manual_seed(0)
    stages = [(3, 5, 4), (4, 3, 2)]
    decoder = UNetDecoder(stages, (2, 3, 9)).double()
    maps = [torch.randn(2, *stage, dtype=torch.float64, requires_grad=True) for stage in stages]
    assert torch.autograd.gradcheck(lambda *x: decoder(Features(x[0], x)), maps)
    assert torch.autograd.gradgradcheck(lambda *x: decoder(Features(x[0], x)), maps)

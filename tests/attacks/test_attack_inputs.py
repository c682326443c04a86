"""What an attack refuses to work on, and how it says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gat_lightning.attacks import FGSM, BinaryProblem, ClassifierProblem
from gat_lightning.randomness import BatchGenerator, Shard


def test_rounding_outside_the_box_is_clamped_and_more_is_refused(problem: ClassifierProblem, images: Tensor) -> None:
    almost = images + 5e-7 * (images == 1) - 5e-7 * (images == 0)
    assert torch.equal(FGSM()(problem, almost), FGSM()(problem, images))
    with pytest.raises(ValueError, match=r"in \[0, 1\], got values from -1 to 1; normalisation belongs in the model"):
        FGSM()(problem, images * 2 - 1)
    with pytest.raises(ValueError, match="got values from 0 to 255"):
        FGSM()(problem, images * 255)
    images[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="nan"):
        FGSM()(problem, images)


def test_unsuitable_tensors_and_losses_are_named(problem: ClassifierProblem, images: Tensor) -> None:
    attack = FGSM()
    with pytest.raises(ValueError, match=r"floating point images \[B, C, H, W\], got torch.uint8"):
        attack(problem, images.byte())
    with pytest.raises(ValueError, match=r"shape \[3, 8, 8\]"):
        attack(problem, images[0])
    with pytest.raises(ValueError, match="draws for 5 samples, but there are 8 images"):
        attack(problem, images, BatchGenerator(Shard.whole(5), "test"))
    with pytest.raises(ValueError, match=r"one value per sample, \[8\], got \[\]"):
        attack(lambda x: problem.loss(x).mean(), images)
    for loss in (lambda x: problem.loss(x.detach()), lambda x: problem.loss(images.clone().requires_grad_())):
        with pytest.raises(ValueError, match="no gradient with respect to the images"):
            attack(loss, images)


def test_labels_and_bare_classifiers_are_answered_with_what_to_write(
    problem: ClassifierProblem, images: Tensor, labels: Tensor
) -> None:
    remedy = r"write attack\(ClassifierProblem\(model, labels\), images\)"
    with pytest.raises(ValueError, match=rf"takes no labels of its own; .*{remedy}"):
        FGSM()(problem.model, images, labels)
    with pytest.raises(ValueError, match=rf"the loss of each sample, \[8\], got \[8, 5\]; .*{remedy}"):
        FGSM()(problem.model, images)

    class Detector(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"logits": x.flatten(1)}

    with pytest.raises(ValueError, match=rf"got dict; .*{remedy}"):
        FGSM()(Detector(), images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: labels[:1], r"8 images need 8 labels, a long tensor of shape \[8\], got torch.int64 .* \[1\]"),
        (lambda labels: labels[:, None], r"got torch.int64 of shape \[8, 1\]"),
        (lambda labels: labels.float(), r"got torch.float32 of shape \[8\]"),
        (lambda labels: labels.tolist(), "got list"),
        (lambda labels: labels - 9, "Labels are classes, numbered from 0, got -9: leave out images without a label"),
    ],
)
@pytest.mark.parametrize("kind", [ClassifierProblem, BinaryProblem])
def test_labels_that_are_not_one_class_for_each_image_are_refused(
    problem: ClassifierProblem,
    images: Tensor,
    kind: type[ClassifierProblem],
    change: Callable[[Tensor], Tensor],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        FGSM()(kind(problem.model, change(torch.zeros(8, dtype=torch.long))), images)


def test_a_problem_and_images_in_each_other_s_place_are_told_apart(problem: ClassifierProblem, images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"The problem comes before the images; .*write attack\(ClassifierProblem"):
        FGSM()(images, problem)

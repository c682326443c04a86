"""Doubts about scores, in words: random or non-finite outputs, one class for all images, few or no labels."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gat_lightning.attacks import Attack
from gat_lightning.runs.result import ViewCheck

MOST_ZERO_GRADIENTS = 0.01
"""Largest share of zero gradients under an attack that is not doubtful."""

FEWEST_IMAGES = 50
"""With fewer, one image more or less is above 2 %."""


class OutputCheck(NamedTuple):
    """What a classifier's outputs for some labelled images are.

    Attributes:
        images: number of labelled images.
        non_finite: number of images with a NaN or infinite output.
        decided: number of images by decided class, without the undecided ones; empty for a regression.
        labelled: number of images by label; empty for a regression.
        zero_gradient: share of the attacked images whose gradient was exactly zero at some step; None without a
            gradient attack.
    """

    images: int
    non_finite: int
    decided: Sequence[int]
    labelled: Sequence[int]
    zero_gradient: float | None = None

    def record(self) -> ViewCheck:
        """The check as ``result.json`` keeps it."""
        return ViewCheck(images=self.images, non_finite=self.non_finite, zero_gradient=self.zero_gradient)


def random_outputs(attacks: Mapping[str, Attack]) -> str | None:
    """That a model draws random numbers, which some of the attacks do not average over; None if all do."""
    members = {view: getattr(attack, "members", (attack,)) for view, attack in attacks.items()}
    single = [view for view, each in members.items() if any(getattr(member, "eot", 1) == 1 for member in each)]
    if not single:
        return None
    return (
        f"the model draws random numbers, and {', '.join(single)} may overestimate its robustness: use"
        " evaluation=autoattack_rand, or attack.eot=20 with FGSM, BIM, MIM, PGD and APGD"
    )


def non_finite_outputs(check: OutputCheck) -> str | None:
    """How many outputs are NaN or infinite; None without any."""
    if not check.non_finite:
        return None
    count = f"{check.non_finite:,} of {check.images:,} outputs are NaN or infinite"
    return f"{count}: accuracy counts these images as wrong, and any other metric is undefined"


def zero_gradients(check: OutputCheck) -> str | None:
    """For how many images the gradient was zero, with remedies; None for at most 1 % of them."""
    if check.zero_gradient is None or check.zero_gradient <= MOST_ZERO_GRADIENTS:
        return None
    return (
        f"the gradient was exactly zero for {check.zero_gradient:.1%} of the attacked images, so the model may be less"
        " robust than this attack shows: evaluate it with audit=true, which looks for the cause, and with"
        " evaluation=apgd_t, whose rescaled loss does not vanish where the model is confident"
    )


def one_class_for_all(check: OutputCheck, classes: Sequence[str]) -> str | None:
    """The class that all images are classified as; None if there are several, or if all images have that label.

    Args:
        check: of clean images.
        classes: names of the classes; if empty, their numbers are named.
    """
    decided = [number for number, images in enumerate(check.decided) if images]
    if check.non_finite or len(decided) != 1 or check.labelled[decided[0]] == check.images:
        return None
    name = classes[decided[0]] if classes else decided[0]
    share = check.labelled[decided[0]] / check.images
    return f"all {check.images:,} images are classified as '{name}', which is the label of {share:.1%} of them"


def why_undefined(metric: str, check: OutputCheck) -> str:
    """Why a metric is NaN, such as "no positive among 24 labelled images"."""
    if not check.images:
        return "no labelled image"
    if metric == "auroc" and not check.non_finite:
        return f"no {'negative' if check.labelled[1] else 'positive'} among {check.images:,} labelled images"
    return f"{check.non_finite:,} of {check.images:,} outputs are NaN or infinite"


def few_labelled_images(labelled: int, images: int, split: str) -> str | None:
    """That a score is of few images since the others have no label; None if it is of 50 images or of all."""
    if labelled >= min(FEWEST_IMAGES, images):
        return None
    return f"only {labelled:,} of {images:,} {split} images have the target's label, and scores are of these alone"

"""Is the model a function of the image alone?"""

from __future__ import annotations

import torch

from gat_lightning.evaluation.audit.report import ATHALYE, AUTO_ATTACK, Check, verdict
from gat_lightning.evaluation.audit.subject import Subject

TOLERANCE = 0.01
"""Largest change of a logit that rounding explains, as a part of the logits' standard deviation."""

REPEATS = 5
"""How often the images are classified again; a model that seldom draws something else is found too."""

COMPANY = 16
"""Images that are also classified one by one."""


@torch.no_grad()
def deterministic(subject: Subject) -> Check:
    """The same image gives the same logits every time, alone and in any batch.

    Random resizing, noise or dropout at test time, and BatchNorm with the statistics of the batch, make gradients
    noisy; attacks must then average over the randomness (expectation over transformation).
    """
    first = subject.logits(subject.images)
    again = torch.stack([subject.logits(subject.images) for _ in range(REPEATS)])
    count = min(COMPANY, len(subject.images))
    alone = torch.cat([subject.logits(subject.images[index : index + 1]) for index in range(count)])
    scale = float(first.std()) or 1.0
    repeated, company = (float((a - b).abs().max()) / scale for a, b in ((first, again), (first[:count], alone)))
    training = [name or "model" for name, module in subject.model.named_modules() if module.training]
    suspicious = not max(repeated, company) <= TOLERANCE
    evidence = {
        "largest_change_when_repeated": repeated,
        "largest_change_when_alone": company,
        "predictions_changed_when_repeated": int((first.argmax(1) != again.argmax(2)).any(0).sum()),
        "modules_in_train_mode": training,
        "tolerance": TOLERANCE,
    }
    explanation = (
        f"Logits of one image differ by {max(repeated, company):.2g} standard deviations between two evaluations: the "
        "model draws random numbers or depends on the other images of the batch."
        if suspicious
        else "An image has the same logits every time, alone and in a batch."
    )
    reference = f"{ATHALYE} (stochastic gradients); {AUTO_ATTACK}"
    return Check("determinism", verdict(suspicious), evidence, explanation, reference)

"""Adversarial images in files: ``save_adversarial=true``."""

from collections.abc import Mapping

from gat_lightning.attacks import Attack
from gat_lightning.evaluation.adversarial import save_adversarial
from gat_lightning.evaluation.predictions import Predictions
from gat_lightning.evaluation.robustness import Evaluation
from gat_lightning.evaluation.target import Target
from gat_lightning.runs.layout import RunDirectory
from gat_lightning.runs.result import EvaluationResult
from gat_lightning.runs.telling import tell


def write_adversarial(
    evaluation: Evaluation,
    target: Target,
    predictions: Predictions,
    attacks: Mapping[str, Attack],
    directory: RunDirectory,
    batch_size: int,
    result: EvaluationResult,
) -> None:
    """Write the adversarial images of every attack, and say and record what each file holds.

    Args:
        evaluation: after the attacks, with their images.
        target: the classifier.
        predictions: of the evaluation.
        attacks: by view.
        directory: of the run.
        batch_size: images at a time.
        result: takes the checks, and a note where a file differs from what was evaluated.
    """
    checks = {}
    for view, attack in attacks.items():
        path = directory.adversarial / f"{view}.npz"
        check = save_adversarial(evaluation, target, predictions, view, attack, path, batch_size)
        checks[view] = check._asdict()
        if check.outside or check.changed:
            result.notes.append(check.told(view, attack))
        else:
            tell(directory, check.told(view, attack))
    result.adversarial = checks

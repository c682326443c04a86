"""Doubts about a training, from the rows of its ``metrics.csv``: flat losses, starved objectives, overfitting."""

import math
from collections.abc import Mapping, Sequence
from statistics import mean

from gat_lightning.runs.metric_names import MetricName, objective_column, objective_columns
from gat_lightning.weighting import ObjectiveName

Rows = Sequence[Mapping[str, str]]

EPOCHS = 3
"""How many epochs in a row something has to last."""

_LEARNABLE = ("clean", "adv", "clean+adv")
"""Views of objectives that are cross-entropies, whose value at chance is known."""

_STARVED = 0.01
"""Share of the weight below which an objective is hardly trained."""

_CHANCE = 0.97
"""Part of the loss at chance that a model which has learned nothing does not fall below."""

_FLAT = 0.02
"""Largest difference of a flat loss, relative to its size."""

_LEAST_GAP = 0.03
"""Smallest gap of an accuracy or AUROC that is no accident of few images."""


def flat_loss(rows: Rows, classes: Mapping[str, int]) -> str | None:
    """A warning about losses that have stayed at the value of a guess.

    Args:
        rows: of the training so far.
        classes: number of classes of each task that has some.

    Returns:
        The objectives whose mean was within 2 % of itself, and of the loss at chance or above, in the last three
        epochs; None if there are none.
    """
    flat = []
    for name, column in objective_columns(dict.fromkeys(each for row in rows for each in row), "objective").items():
        objective = ObjectiveName.parse(name)
        if objective.view not in _LEARNABLE or objective.task not in classes:
            continue
        chance, last = math.log(classes[objective.task]), list(_means(rows, column).values())[-EPOCHS:]
        if len(last) == EPOCHS and min(last) >= _CHANCE * chance and max(last) - min(last) <= _FLAT * mean(last):
            flat.append(f"{name} at {last[-1]:.2f} (a guess has {chance:.2f})")
    if not flat:
        return None
    return (
        f"The loss has been flat for {EPOCHS} epochs: {', '.join(flat)}. Nothing is learned there: try another"
        " optimizer.lr, a warm-up (schedule.warmup), a smaller attack.eps, or look at labels and augmentation."
    )


def starved(rows: Rows, told: Sequence[str]) -> str | None:
    """A warning about objectives that got less than 1 % of the weight in each of the last three epochs.

    Args:
        rows: of the training so far.
        told: names of objectives that another warning is about.
    """
    columns = objective_columns(dict.fromkeys(each for row in rows for each in row), "weight")
    shares = [{"epoch": row["epoch"], **_shares(row, columns)} for row in rows]
    found = []
    for name, column in columns.items():
        last = list(_means(shares, column).values())[-EPOCHS:]
        if name not in told and len(last) == EPOCHS and max(last) < _STARVED:
            found.append(name)
    if not found or len(found) == len(columns) - 1:  # then one has it all, which is told elsewhere
        return None
    return (
        f"Starved for {EPOCHS} epochs, with less than {_STARVED:.0%} of the weight each: {', '.join(found)}. They are"
        " hardly trained: weighting=equal or weighting.floor gives them weight, or leave out their task."
    )


def overfitting(rows: Rows, score: MetricName, images: int, objective: str) -> str | None:
    """A warning about a validation score that falls while the loss on training images does too.

    Rice et al. ("Overfitting in adversarially robust deep learning", ICML 2020) call it robust overfitting.

    Args:
        rows: of the training so far.
        score: an accuracy or AUROC in validation, under attack or clean.
        images: number of images that it is over.
        objective: name of the objective that lowers it on training images.

    Returns:
        A message if the score was lower than the best one by 3 points, and by two standard errors of a difference, in
        the last two validations; None otherwise.
    """
    scores = {int(float(row["epoch"])): float(row[str(score)]) for row in rows if row.get(str(score))}
    defined = {epoch: value for epoch, value in scores.items() if not math.isnan(value)}
    losses = _means(rows, objective_column("objective", objective))
    if len(defined) < 3:
        return None
    best, now = max(defined, key=defined.__getitem__), max(defined)
    before, share = list(defined.values())[-2], min(max(defined[best], 0.0), 1.0)
    least = max(_LEAST_GAP, 2 * math.sqrt(2 * share * (1 - share) / images))
    falls = best in losses and now in losses and losses[now] < losses[best]
    if not falls or defined[best] - max(before, defined[now]) < least:
        return None
    what = "Overfitting" if score.view == "clean" else "Robust overfitting"
    return (
        f"{what}: validation {score.shown} was {score.text(defined[best])} in epoch {best + 1} and is"
        f" {score.text(defined[now])} in epoch {now + 1}, while {objective} fell from {losses[best]:.3f} to"
        f" {losses[now]:.3f}. best.ckpt has the former. Fewer trainer.max_epochs, callbacks=default+early_stopping or"
        " awp.gamma keep the gap small."
    )


def _means(rows: Rows, column: str) -> dict[int, float]:
    """Mean of a column in each epoch that has it."""
    values: dict[int, list[float]] = {}
    for row in rows:
        if row.get(column):
            values.setdefault(int(float(row["epoch"])), []).append(float(row[column]))
    return {epoch: mean(each) for epoch, each in values.items()}


def _shares(row: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, str]:
    """Shares in place of the weights of a row, of those that it has."""
    sizes = {column: abs(float(row[column])) for column in columns.values() if row.get(column)}
    total = sum(sizes.values())
    return {column: str(size / total) for column, size in sizes.items()} if total > 0 else {}

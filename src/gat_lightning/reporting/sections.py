"""Sections of the page: one for each data set and threat model, and what was left out."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from gat_lightning.evaluation.statistics import hypervolume
from gat_lightning.reporting import correlation_charts, correlations, curves, fronts, page
from gat_lightning.reporting.columns import clean_metric, columns
from gat_lightning.reporting.drawing import MOST_NAMED
from gat_lightning.reporting.facts import differing, shared
from gat_lightning.reporting.groups import Group
from gat_lightning.reporting.page import Section
from gat_lightning.reporting.records import Unusable
from gat_lightning.reporting.results import Results, runs_counted
from gat_lightning.reporting.run_warnings import warnings
from gat_lightning.reporting.significance import Against
from gat_lightning.reporting.words import counted, metric_words
from gat_lightning.runs.metric_names import MetricName

_MOST_GALLERIES = 6


def section(part: Results, tested: Against | None, gradients: str, folder: Path, *, several: bool) -> Section:
    """All about one data set and threat model.

    Args:
        part: the results.
        tested: the tests against its baseline; None without one.
        gradients: HTML of :func:`gradient_measures`.
        folder: where its figures are written.
        several: whether the page has other sections; without any, its subtitle alone counts the runs.
    """
    warned = warnings(part.groups)
    count = {label: sum(each.setting == label for each in warned) for label in {each.setting for each in warned}}
    body = [
        page.note(_introduction(part, several)),
        page.facts(shared(part.groups, part.summary), differing(part.groups)),
        page.results(part.summary, part.anchor, part.baseline in part.groups, count),
        page.notes(part.notes),
        page.panels(figures(part, folder)),
        "" if tested is None else against(tested),
    ]
    if warned:
        texts = [(each.setting, ", ".join(map(str, each.seeds)), each.text) for each in warned]
        body += [page.heading("Warnings", f"{part.anchor}-warnings")]
        body += [page.rows(("setting", "seeds", "warning"), texts, words=(2,))]
    body += [gradients, *weights(part, folder), *galleries(part.groups)]
    return Section(part.title, "".join(body), part.anchor)


def _introduction(part: Results, counts_runs: bool) -> str:
    order = "" if part.robust is None else f", sorted by {metric_words(part.robust).removesuffix(' (%)')}"
    begin = f"{runs_counted(part.groups)}, checkpoint" if counts_runs else "Checkpoint"
    return f"{begin} {part.checkpoint}{order}."


def left_out(unusable: Sequence[Unusable]) -> list[Section]:
    """The runs that are not in the report, and why."""
    texts = [f"{each.directory}: {each.reason}" for each in unusable]
    return [Section("Left out", page.folded(counted(len(texts), "run"), page.listed(texts)))] if texts else []


def figures(part: Results, folder: Path) -> list[str]:
    """Robustness over clean accuracy and over cost, and learning curves, as far as the runs have what they need."""
    groups, robust, checkpoint = part.groups, part.robust, part.checkpoint
    clean = clean_metric(columns(groups, checkpoint))
    found = []
    if clean is not None and robust is not None:
        path = fronts.front(groups, clean, robust, checkpoint, folder / "front.png")
        found += [] if path is None else [page.picture(path, front_caption(groups, clean, robust, checkpoint))]
    path = None if robust is None else fronts.cost(groups, robust, checkpoint, folder / "cost.png")
    if path is not None:
        caption = f"Robustness over the mean time of a training, without its test.{_numbers(groups)}"
        found.append(page.picture(path, caption))
    for path in curves.learning_curves(groups, folder):
        caption = (
            f"Validation: mean over the seeds, with a band from the lowest to the highest{_first(MOST_NAMED, groups)}."
        )
        found.append(page.picture(path, caption))
    return found


def front_caption(groups: Sequence[Group], clean: MetricName, robust: MetricName, checkpoint: str) -> str:
    """What the front shows, with the area that it covers where both metrics are shares."""
    means = [(each.summary(clean, checkpoint), each.summary(robust, checkpoint)) for each in groups]
    points = [(1 - x.mean, 1 - y.mean) for x, y in means if x is not None and y is not None]
    spread = "Small points are seeds, large ones means. " if any(len(each.seeds) > 1 for each in groups) else ""
    caption = f"{spread}On the Pareto front no setting is better in both.{_numbers(groups)}"
    if not (points and clean.is_share and robust.is_share):
        return caption
    try:
        volume = hypervolume(points)
    except ImportError:  # moocore is an extra
        return caption
    return f"{caption} Area covered by the clean/robust trade-off: {volume.dominated:.2f} (1 is perfect)."


def against(tested: Against) -> str:
    """Table of McNemar's tests."""
    table = page.rows(tested.headers, tested.rows, words=(5,)) if tested.tests else ""
    count = counted(len(tested.left_out), "run")
    skipped = page.folded(f"Not compared: {count}", page.listed(tested.left_out)) if tested.left_out else ""
    return page.heading(f"Against {tested.baseline}") + page.note(tested.introduction) + table + skipped


def gradient_measures(
    part: Results, points: Sequence[correlations.Model], lines: Sequence[correlations.Line], folder: Path
) -> str:
    """How measures of the gradients go with the robust score; empty without a correlation."""
    if part.robust is None or not lines:
        return ""
    drawn = correlation_charts.measures(points, lines, part.robust, folder)
    table = page.rows(correlations.HEADERS, [line.texts for line in lines])
    pictures = page.panels([page.picture(path, path.stem.replace("_", " ")) for path in drawn])
    caption = page.note(correlations.caption(part.robust))
    return page.heading("Gradients and robustness") + table + caption + page.folded("Scatter plots", pictures)


def weights(part: Results, folder: Path) -> list[str]:
    """Weights of the objectives over the training."""
    drawn = curves.weights(part.groups, folder)
    if not drawn:
        return []
    which = _first(curves.MOST_PANELS, part.groups)
    caption = f"Share of each objective in the sum of the absolute weights, first seed{which}."
    pictures = page.panels([page.picture(path, label) for label, path in drawn.items()])
    return [page.folded("Weights of the objectives", page.note(caption) + pictures)]


def galleries(groups: Sequence[Group]) -> list[str]:
    """Adversarial images of one run of each setting."""
    found = ((each.label, _gallery(each)) for each in groups)
    there = {label: path for label, path in found if path is not None}
    shown = [page.picture(path, label) for label, path in islice(there.items(), _MOST_GALLERIES)]
    caption = f"One run of each setting{_first(_MOST_GALLERIES, list(there))}."
    return [page.folded("Adversarial images", page.note(caption) + page.panels(shown))] if shown else []


def _numbers(groups: Sequence[Group]) -> str:
    return " Numbers are those of the rows, the dashed line is the Pareto front." if len(groups) > MOST_NAMED else ""


def _first(most: int, settings: Sequence[object]) -> str:
    return f" (the first {most} of {len(settings)} settings)" if len(settings) > most else ""


def _gallery(each: Group) -> Path | None:
    """The first picture of adversarial images that a run of the setting has."""
    pictures = (
        record.directory / name
        for record in each.records
        for name in record.result.files.get("images", ())
        if name.endswith(("attack.png", "adversarial.png"))
    )
    return next((path for path in pictures if path.is_file()), None)
